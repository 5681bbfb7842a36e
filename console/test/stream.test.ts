import { describe, expect, it } from "vitest";
import { backoff } from "../src/live/stream.ts";

describe("reconnecting", () => {
  it("waits longer each time, with jitter, and never longer than 15 s", () => {
    expect(backoff(0, 0)).toBe(250);
    expect(backoff(0, 1)).toBe(500);
    expect(backoff(3, 1)).toBe(4_000);
    expect(backoff(60, 1)).toBe(15_000);
  });
});
