/** What a person chose for themselves: language and theme. `?lang=` and `?theme=` win, for links. */
import { effect, signal } from "@preact/signals";

export type Language = "vi" | "en";
export type Theme = "auto" | "light" | "dark";

const inBrowser = typeof window !== "undefined";

function recall(name: string): string | null {
  if (!inBrowser) return null;
  const asked = new URLSearchParams(window.location.search).get(name);
  if (asked !== null) return asked;
  try {
    return window.localStorage.getItem(`ioc.${name}`);
  } catch {
    return null; // storage may be forbidden; the choice then lasts as long as the page
  }
}

function keep(name: string, value: string): void {
  try {
    window.localStorage.setItem(`ioc.${name}`, value);
  } catch {
    // as above
  }
}

const wantedTheme = recall("theme");

export const language = signal<Language>(recall("lang") === "en" ? "en" : "vi");
export const theme = signal<Theme>(wantedTheme === "light" || wantedTheme === "dark" ? wantedTheme : "auto");

export function chooseLanguage(value: Language): void {
  keep("lang", value);
  language.value = value;
}

export function chooseTheme(value: Theme): void {
  keep("theme", value);
  theme.value = value;
}

/** Write both onto the document, now and when they change. */
export function applyPreferences(): void {
  effect(() => {
    document.documentElement.lang = language.value;
  });
  effect(() => {
    if (theme.value === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme.value;
  });
}
