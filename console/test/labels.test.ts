import { describe, expect, it } from "vitest";
import { boxAt, overlap, place, type Label } from "../src/map/labels.ts";

const label = (text: string, x: number, y: number, priority: number, more: Partial<Label> = {}): Label => ({
  text, x, y, w: 40, h: 12, priority, anchors: ["center"], gap: 4, ...more,
});
const area = { x: 0, y: 0, w: 400, h: 300 };

describe("labels", () => {
  it("do not overlap, and the more important stays", () => {
    const placed = place([label("small", 100, 100, 1), label("large", 110, 104, 9)], [], area);
    expect(placed.map((p) => p.label.text)).toEqual(["large"]);
  });

  it("move to another side rather than vanish", () => {
    const placed = place(
      [label("a", 100, 100, 2, { anchors: ["right", "left"] }), label("b", 104, 100, 1, { anchors: ["right", "left"] })],
      [],
      area,
    );
    expect(placed).toHaveLength(2);
    const [a, b] = placed;
    expect(a && b && overlap(a.box, b.box)).toBe(false);
  });

  it("keep clear of obstacles and of the edge", () => {
    expect(place([label("a", 100, 100, 1)], [{ x: 90, y: 95, w: 10, h: 10 }], area)).toEqual([]);
    expect(place([label("a", 5, 100, 1)], [], area)).toEqual([]);
  });

  it("never overlap, whatever the crowd", () => {
    let seed = 11;
    const random = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const crowd = Array.from({ length: 400 }, (_, n) =>
      label(String(n), random() * 400, random() * 300, random(), { anchors: ["center", "above", "below", "left", "right"] }),
    );
    const placed = place(crowd, [], area);
    expect(placed.length).toBeGreaterThan(30);
    for (const [index, one] of placed.entries()) {
      for (const other of placed.slice(index + 1)) expect(overlap(one.box, other.box)).toBe(false);
    }
    // The same crowd gives the same labels: nothing flickers.
    expect(place(crowd, [], area)).toEqual(placed);
  });

  it("stand beside their point", () => {
    expect(boxAt(label("a", 10, 10, 1), "right")).toEqual({ x: 14, y: 4, w: 40, h: 12 });
    expect(boxAt(label("a", 10, 10, 1), "above")).toEqual({ x: -10, y: -6, w: 40, h: 12 });
  });
});
