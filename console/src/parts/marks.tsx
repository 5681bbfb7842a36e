/** Severity and state: always a shape and a word; colour only says it a third time. */
import type { AssetState, Severity } from "../api/types.ts";
import { t } from "../i18n/index.ts";

const SHAPES: Readonly<Record<Severity | "cleared", string>> = {
  critical: "M8 .8 15.2 8 8 15.2 .8 8Z",
  major: "M8 1.2 15.4 14.4H.6Z",
  minor: "M1.8 1.8h12.4v12.4H1.8Z",
  warning: "M8 1.2a6.8 6.8 0 1 1 0 13.6A6.8 6.8 0 0 1 8 1.2Z",
  indeterminate: "M8 1.2a6.8 6.8 0 1 1 0 13.6A6.8 6.8 0 0 1 8 1.2Z",
  cleared: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2Z",
};

export function SeverityShape({ severity }: { severity: Severity | "cleared" }) {
  return (
    <svg class={`shape ${severity}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[severity]} />
    </svg>
  );
}

export function SeverityMark({ severity, cleared = false }: { severity: Severity; cleared?: boolean }) {
  return (
    <span class="severity">
      <SeverityShape severity={cleared ? "cleared" : severity} />
      <span>{t.value.severity[severity]}</span>
    </span>
  );
}

const STATE_SHAPE: Readonly<Partial<Record<AssetState, Severity>>> = { down: "critical", degraded: "major" };

export function StateMark({ state }: { state: AssetState }) {
  const severity = STATE_SHAPE[state];
  return (
    <span class={`state ${state}`}>
      {severity ? <SeverityShape severity={severity} /> : <span class={`state-dot ${state}`} aria-hidden="true" />}
      <span>{t.value.state[state]}</span>
    </span>
  );
}
