import { computed } from "@preact/signals";
import type { Text } from "../api/types.ts";
import { language } from "../preferences.ts";
import { en } from "./en.ts";
import { vi, type Dictionary } from "./vi.ts";

export type { Dictionary } from "./vi.ts";

/** The texts of the chosen language: `t.value.nav.alarms`. */
export const t = computed<Dictionary>(() => (language.value === "vi" ? vi : en));

/** The chosen language's side of a text that the service sent. */
export function said(text: Text): string {
  return text[language.value];
}

/** A stable word of the API, in the chosen language; the word itself where we have no text. */
export function word(words: Readonly<Record<string, string>>, key: string): string {
  return words[key] ?? key;
}
