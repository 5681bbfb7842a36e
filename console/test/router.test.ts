import { describe, expect, it } from "vitest";
import { alarmLink, parse, withQuery } from "../src/router.ts";

describe("paths", () => {
  it("name a screen", () => {
    expect(parse("/")).toEqual({ screen: "overview" });
    expect(parse("/alarms")).toEqual({ screen: "alarms", id: null });
    expect(parse("/alarms/01J")).toEqual({ screen: "alarms", id: "01J" });
    expect(parse("/assets/KH00001")).toEqual({ screen: "asset", id: "KH00001" });
    expect(parse("/history")).toEqual({ screen: "history", id: null });
    expect(parse("/runbooks/bts-smoke")).toEqual({ screen: "runbook", id: "bts-smoke" });
  });

  it("that nobody has are missing, not an error", () => {
    for (const path of ["/nothing", "/plan/x", "/assets/a/b"]) expect(parse(path)).toEqual({ screen: "missing" });
    expect(parse("/assets/%E0%A4%A")).toEqual({ screen: "asset", id: "%E0%A4%A" });
  });

  it("survive any id", () => {
    expect(parse(alarmLink("a/b?c"))).toEqual({ screen: "alarms", id: "a/b?c" });
  });
});

describe("the query", () => {
  it("changes only what is named", () => {
    expect(withQuery("/alarms", "?kind=bts&q=x", { q: "nha trang" })).toBe("/alarms?kind=bts&q=nha+trang");
    expect(withQuery("/alarms", "?kind=bts&q=x", { q: null })).toBe("/alarms?kind=bts");
    expect(withQuery("/alarms", "?q=x", { q: "" })).toBe("/alarms");
  });

  it("keeps a map view readable", () => {
    expect(withQuery("/", "", { map: "12.2451,109.1943,9.21" })).toBe("/?map=12.2451,109.1943,9.21");
  });
});
