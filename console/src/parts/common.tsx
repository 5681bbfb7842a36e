/** Small parts that every screen shares. */
import type { ComponentChildren } from "preact";
import { nowMs } from "../live/store.ts";
import { t } from "../i18n/index.ts";
import { f, why } from "../use.ts";

/** How long ago, growing by itself. The full time is in its title. */
export function Age({ ms, ago = false }: { ms: number | null; ago?: boolean }) {
  if (ms === null) return <span class="quiet">{t.value.never}</span>;
  const age = f.value.age(nowMs.value - ms);
  return (
    <time class="age" dateTime={new Date(ms).toISOString()} title={f.value.moment(ms)}>
      {ago ? t.value.ago(age) : age}
    </time>
  );
}

export function Moment({ ms }: { ms: number | null }) {
  if (ms === null) return <span class="quiet">–</span>;
  return (
    <time class="moment" dateTime={new Date(ms).toISOString()} title={f.value.age(nowMs.value - ms)}>
      {f.value.moment(ms, nowMs.value)}
    </time>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="empty failure" role="alert">
      <p class="empty-title">{t.value.failed}</p>
      <p>{why(error)}</p>
      {retry && (
        <button type="button" onClick={retry}>
          {t.value.retry}
        </button>
      )}
    </div>
  );
}

/** Grey lines where the answer will be. */
export function Loading({ rows = 8 }: { rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="hidden">{t.value.loading}</span>
      {Array.from({ length: rows }, (_, index) => (
        <span class={`bone bone-${index % 3}`} key={index} aria-hidden="true" />
      ))}
    </div>
  );
}

/** Facts as name and value. Empty ones are left out by the caller. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface Choice<V extends string> {
  value: V;
  label: string;
}

/** One of a few, as buttons side by side. */
export function Segments<V extends string>(props: {
  label: string;
  value: V;
  choices: readonly Choice<V>[];
  choose: (value: V) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.choices.map(({ value, label }) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => { props.choose(value); }}>
          {label}
        </button>
      ))}
    </div>
  );
}

export function Pick(props: {
  label: string;
  value: string;
  choices: readonly Choice<string>[];
  choose: (value: string) => void;
}) {
  return (
    <label class="pick">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => { props.choose(event.currentTarget.value); }}>
        {props.choices.map(({ value, label }) => (
          <option key={value} value={value} selected={value === props.value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

export function SearchBox(props: { label: string; hint: string; value: string; search: (text: string) => void }) {
  return (
    <label class="pick search">
      <span>{props.label}</span>
      <input
        type="search"
        value={props.value}
        placeholder={props.hint}
        spellcheck={false}
        autocomplete="off"
        maxLength={100}
        onInput={(event) => { props.search(event.currentTarget.value); }}
      />
    </label>
  );
}

/** Arrow keys move between the links marked `data-row` inside a list or table. */
export function rowKeys(event: KeyboardEvent): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const inside = event.currentTarget;
  if (!(inside instanceof HTMLElement)) return;
  const rows = [...inside.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const next = rows[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
