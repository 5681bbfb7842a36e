import { describe, expect, it } from "vitest";
import type { Snapshot } from "../src/api/types.ts";
import { begin, reduce } from "../src/live/reduce.ts";

const snapshot: Snapshot = {
  version: 7,
  now_ms: 1_000,
  inventory_version: 1,
  counts: { bts: { up: 2, down: 1 } },
  abnormal: { KH00001: "down" },
  alarms: {
    active: [],
    totals: { critical: 0, major: 0, minor: 0, warning: 0, indeterminate: 0, suppressed: 0, unacknowledged: 0 },
    last_cleared_ms: null,
    per_10_min: [],
  },
  kpis: [],
  ingest: { messages_per_s: 800, behind: 0, connected: true, last_message_ms: 900, quarantined_total: 0, missed_total: 0 },
  deliveries: { delivered: 0, pending: 0, dead: 0 },
  ready: true,
  not_ready: [],
};

describe("a change", () => {
  it("replaces what it names and keeps the rest", () => {
    const after = reduce(begin(snapshot), { version: 8, now_ms: 2_000, ready: false, not_ready: ["store"] });
    expect(after?.ready).toBe(false);
    expect(after?.not_ready).toEqual(["store"]);
    expect(after?.now_ms).toBe(2_000);
    expect(after?.ingest).toEqual(snapshot.ingest);
    expect(after?.abnormal.get("KH00001")).toBe("down");
  });

  it("merges abnormal assets, and forgets those that are up", () => {
    const before = begin(snapshot);
    const after = reduce(before, { version: 8, now_ms: 2_000, abnormal: { KH00001: "up", KH00002: "silent" } });
    expect([...(after?.abnormal ?? [])]).toEqual([["KH00002", "silent"]]);
    expect([...before.abnormal]).toEqual([["KH00001", "down"]]);
  });

  it("keeps the same map when no asset changed, so that the map is not drawn again", () => {
    const before = begin(snapshot);
    expect(reduce(before, { version: 7, now_ms: 3_000 })?.abnormal).toBe(before.abnormal);
  });

  it("of an older version cannot follow: the service started over", () => {
    expect(reduce(begin(snapshot), { version: 3, now_ms: 2_000 })).toBeNull();
  });
});
