import { describe, expect, it } from "vitest";
import { line, runs, ticks, type Sample } from "../src/charts/path.ts";

const at = (ms: number): Sample => ({ ms, mean: 1, min: 0, max: 2 });
const same = (value: number): number => value;

describe("a chart", () => {
  it("is broken where nothing was measured", () => {
    expect(runs([at(0), at(10), at(100), at(110)], 25).map((run) => run.length)).toEqual([2, 2]);
    expect(line([at(0), at(10), at(100), at(110)], same, same, 25).match(/M/g)).toHaveLength(2);
  });

  it("shows a lone sample", () => {
    expect(line([at(0)], same, same, 25)).toBe("M0.0 1.0h1.5");
  });

  it("has both ends of its time", () => {
    expect(ticks(0, 100, 3)).toEqual([0, 50, 100]);
  });
});
