/** Language and theme. */
import { t } from "../i18n/index.ts";
import { chooseLanguage, chooseTheme, language, theme, type Theme } from "../preferences.ts";

export function Switches() {
  const words = t.value;
  const next: Readonly<Record<Theme, Theme>> = { auto: "light", light: "dark", dark: "auto" };
  return (
    <div class="switches">
      <div class="language" role="group" aria-label={words.language}>
        <button type="button" lang="vi" aria-label="Tiếng Việt" aria-pressed={language.value === "vi"} onClick={() => { chooseLanguage("vi"); }}>
          vi
        </button>
        <button type="button" lang="en" aria-label="English" aria-pressed={language.value === "en"} onClick={() => { chooseLanguage("en"); }}>
          en
        </button>
      </div>
      <button
        type="button"
        class="theme"
        onClick={() => { chooseTheme(next[theme.value]); }}
        aria-label={`${words.theme.label}: ${words.theme[theme.value]}`}
        title={`${words.theme.label}: ${words.theme[theme.value]}`}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="8" cy="8" r="6" />
          <path class={`theme-${theme.value}`} d={theme.value === "auto" ? "M8 2a6 6 0 0 1 0 12Z" : "M8 2a6 6 0 0 1 0 12A6 6 0 0 1 8 2Z"} />
        </svg>
      </button>
    </div>
  );
}
