/** Numbers, times and units as the chosen language writes them. The province's clock is UTC+7. */
import type { Dictionary } from "./i18n/vi.ts";
import type { Language } from "./preferences.ts";

const ZONE = "Asia/Ho_Chi_Minh";
const DASH = "–";
const THIN = "\u202f"; // narrow no-break space between a number and its unit

/** Codes of the catalog that a person would write otherwise. */
const UNITS: Readonly<Record<string, string>> = {
  "1": "",
  Cel: "°C",
  degC: "°C",
  "dB[mW]": "dBm",
  "kbit/s": "kbit/s",
  us: "µs",
  Ohm: "Ω",
  bool: "",
  enum: "",
};

export interface Formats {
  /** `3.861` or `3,861`; a dash for null and what is not a number. */
  number: (value: number | null | undefined, decimals?: number) => string;
  /** A number with its unit: `18,5 °C`; a percent sign without a space in English. */
  quantity: (value: number | null | undefined, unit: string, decimals?: number) => string;
  unit: (unit: string) => string;
  /** How long, in one unit: `12 giây`, `4 min`, `3 h`. */
  age: (ms: number) => string;
  /** How long, in two units from an hour on: `2 h 05 min`. */
  duration: (ms: number) => string;
  /** `14:32:07`. */
  clock: (ms: number) => string;
  /** `14:32`. */
  minute: (ms: number) => string;
  /** `22/11 14:32:07` or `22 Nov 14:32:07`; the time alone when it is today. */
  moment: (ms: number, nowMs?: number) => string;
  /** `22/11` or `22 Nov`. */
  day: (ms: number) => string;
  /** `22/11/2026` from an ISO date; what is no full date stays as it is. */
  date: (iso: string) => string;
  bytes: (value: number) => string;
}

const LOCALES: Readonly<Record<Language, string>> = { vi: "vi-VN", en: "en-GB" };

export function formats(language: Language, texts: Dictionary): Formats {
  const locale = LOCALES[language];
  const numbers = new Map<number, Intl.NumberFormat>();
  const numberFormat = (decimals: number): Intl.NumberFormat => {
    let format = numbers.get(decimals);
    if (!format) {
      format = new Intl.NumberFormat(locale, {
        minimumFractionDigits: decimals,
        maximumFractionDigits: decimals,
        useGrouping: true,
      });
      numbers.set(decimals, format);
    }
    return format;
  };
  const time = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale, { timeZone: ZONE, hourCycle: "h23", ...options });
  const clockFormat = time({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const minuteFormat = time({ hour: "2-digit", minute: "2-digit" });
  const dayFormat =
    language === "vi" ? time({ day: "2-digit", month: "2-digit" }) : time({ day: "numeric", month: "short" });
  const dateFormat = new Intl.DateTimeFormat(
    locale,
    language === "vi"
      ? { timeZone: "UTC", day: "2-digit", month: "2-digit", year: "numeric" }
      : { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" },
  );
  const keyFormat = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE });
  // 04/12 in Vietnamese; some engines write 04-12.
  const day = (ms: number): string => dayFormat.format(ms).replace("-", "/");

  const number: Formats["number"] = (value, decimals = 0) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
    // A small negative must not become "-0".
    const rounded = Math.abs(value) < 0.5 * 10 ** -decimals ? 0 : value;
    return numberFormat(decimals).format(rounded).replace("-", "−");
  };
  const unit: Formats["unit"] = (code) => {
    const { s, min, h, d } = texts.units;
    return { ...UNITS, s, min, h, d, "1/s": `/${s}`, "1/min": `/${min}` }[code] ?? code;
  };

  const age: Formats["age"] = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    const { units } = texts;
    if (s < 100) return `${number(s)}${THIN}${units.s}`;
    if (s < 100 * 60) return `${number(Math.floor(s / 60))}${THIN}${units.min}`;
    if (s < 48 * 3600) return `${number(Math.floor(s / 3600))}${THIN}${units.h}`;
    return `${number(Math.floor(s / 86_400))}${THIN}${units.d}`;
  };

  return {
    number,
    unit,
    quantity: (value, code, decimals = 0) => {
      const text = number(value, decimals);
      const written = unit(code);
      if (written === "" || text === DASH) return text;
      return written === "%" && language === "en" ? `${text}%` : `${text}${THIN}${written}`;
    },
    age,
    duration: (ms) => {
      const min = Math.floor(Math.max(0, ms) / 60_000);
      if (min < 60) return age(ms);
      const [h, d] = [Math.floor(min / 60), Math.floor(min / 1440)];
      const { units } = texts;
      if (h < 48) return `${number(h)}${THIN}${units.h} ${String(min % 60).padStart(2, "0")}${THIN}${units.min}`;
      return `${number(d)}${THIN}${units.d} ${number(h % 24)}${THIN}${units.h}`;
    },
    clock: (ms) => clockFormat.format(ms),
    minute: (ms) => minuteFormat.format(ms),
    moment: (ms, nowMs) =>
      nowMs !== undefined && keyFormat.format(ms) === keyFormat.format(nowMs)
        ? clockFormat.format(ms)
        : `${day(ms)} ${clockFormat.format(ms)}`,
    day,
    date: (iso) => {
      if (!/^\d{4}-\d{2}-\d{2}/.test(iso)) return iso;
      const at = Date.parse(`${iso.slice(0, 10)}T00:00:00Z`);
      return Number.isNaN(at) ? iso : dateFormat.format(at);
    },
    bytes: (value) => {
      const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
      let step = 0;
      let rest = value;
      while (rest >= 1024 && step < steps.length - 1) {
        rest /= 1024;
        step += 1;
      }
      return `${number(rest, step > 0 && rest < 100 ? 1 : 0)}${THIN}${steps[step] ?? "B"}`;
    },
  };
}
