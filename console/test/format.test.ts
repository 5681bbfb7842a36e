import { describe, expect, it } from "vitest";
import { formats } from "../src/format.ts";
import { en } from "../src/i18n/en.ts";
import { vi } from "../src/i18n/vi.ts";

const english = formats("en", en);
const vietnamese = formats("vi", vi);
const plain = (text: string): string => text.replace(/[\u202f\u00a0]/g, " ");

describe("numbers", () => {
  it("are written as the language writes them", () => {
    expect(english.number(3861)).toBe("3,861");
    expect(vietnamese.number(3861)).toBe("3.861");
    expect(english.number(1.7249, 2)).toBe("1.72");
    expect(vietnamese.number(1.7249, 2)).toBe("1,72");
  });

  it("have a true minus sign, and no negative zero", () => {
    expect(english.number(-14.4, 1)).toBe("−14.4");
    expect(english.number(-0.04, 1)).toBe("0.0");
  });

  it("are a dash when nothing was measured", () => {
    expect(english.number(null)).toBe("–");
    expect(english.number(Number.NaN)).toBe("–");
    expect(english.quantity(null, "V")).toBe("–");
  });

  it("carry their unit", () => {
    expect(plain(english.quantity(53.5, "V", 1))).toBe("53.5 V");
    expect(english.quantity(81, "%")).toBe("81%");
    expect(plain(vietnamese.quantity(81, "%"))).toBe("81 %");
    expect(english.quantity(4, "1")).toBe("4");
    expect(plain(english.quantity(1.5, "us", 1))).toBe("1.5 µs");
    expect(plain(vietnamese.quantity(47, "min"))).toBe("47 phút");
  });
});

describe("times", () => {
  const noon = Date.UTC(2026, 10, 22, 5, 0, 7);

  it("are the province's, wherever the browser is", () => {
    expect(english.clock(noon)).toBe("12:00:07");
    expect(vietnamese.minute(noon)).toBe("12:00");
  });

  it("say the day only when it is another one", () => {
    expect(english.moment(noon, noon + 3_600_000)).toBe("12:00:07");
    expect(english.moment(noon, noon + 24 * 3_600_000)).toBe("22 Nov 12:00:07");
    expect(vietnamese.moment(noon)).toBe("22/11 12:00:07");
  });

  it("tell an age in one unit", () => {
    expect(plain(english.age(2_400))).toBe("2 s");
    expect(plain(english.age(99_000))).toBe("99 s");
    expect(plain(english.age(125_000))).toBe("2 min");
    expect(plain(vietnamese.age(3 * 3_600_000))).toBe("3 giờ");
    expect(plain(english.age(-5_000))).toBe("0 s");
  });

  it("tell a duration in two units from an hour on", () => {
    expect(plain(english.duration(2 * 3_600_000 + 5 * 60_000))).toBe("2 h 05 min");
    expect(plain(english.duration(12 * 60_000))).toBe("12 min");
  });

  it("leave a date alone that is none", () => {
    expect(english.date("2025-02-03")).toBe("3 Feb 2025");
    expect(vietnamese.date("2025-02-03")).toBe("03/02/2025");
    expect(english.date("2026")).toBe("2026");
  });
});
