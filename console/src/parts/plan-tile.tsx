/** One target of the plan: where it stands, against what, and who says so. */
import type { PlanItem } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import { nowMs } from "../live/store.ts";
import { f } from "../use.ts";

/** Where the value and the target lie on one bar, as shares of its length. */
export function onBar(item: Pick<PlanItem, "value" | "target" | "unit">): { value: number; target: number } {
  const top =
    item.unit === "%" && Math.max(item.target, item.value ?? 0) <= 100
      ? 100
      : Math.max(item.target * 1.25, (item.value ?? 0) * 1.08, 1e-9);
  const share = (n: number): number => Math.min(1, Math.max(0, n / top));
  return { value: share(item.value ?? 0), target: share(item.target) };
}

export function decimalsOf(item: PlanItem): number {
  const magnitude = Math.abs(item.value ?? item.target);
  if (item.unit === "1" || item.unit === "km" || magnitude >= 100) return 0;
  return magnitude < 10 ? 2 : 1;
}

export function targetText(item: PlanItem): string {
  const decimals = Number.isInteger(item.target) ? 0 : 2;
  const text = f.value.quantity(item.target, item.unit, decimals);
  if (item.direction === "at_least") return t.value.plan.atLeast(text);
  return item.direction === "at_most" ? t.value.plan.atMost(text) : t.value.plan.about(text);
}

/** The target as a sign and a number, where there is little room. */
export function targetSign(item: PlanItem): string {
  const text = f.value.quantity(item.target, item.unit, Number.isInteger(item.target) ? 0 : 2);
  return `${{ at_least: "≥", at_most: "≤", about: "~" }[item.direction]} ${text}`;
}

export function Bar({ item }: { item: PlanItem }) {
  const { value, target } = onBar(item);
  return (
    <svg class="plan-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="plan-bar-track" x="0" y="2.5" width="100" height="3" />
      {item.value !== null && (
        <rect class={`plan-bar-value ${item.kind}`} x="0" y="2.5" width={value * 100} height="3" />
      )}
      <rect class="plan-bar-target" x={Math.min(99, target * 100)} y="0" width="1" height="8" />
    </svg>
  );
}

/** "measured 4 s ago", or "reported, as of 1 Feb 2025, vietnamnet.vn". */
export function provenance(item: PlanItem): string {
  const words = t.value.plan;
  if (item.kind === "measured") {
    return item.time_ms ? words.measuredAt(f.value.age(nowMs.value - item.time_ms)) : words.measured;
  }
  if (item.value === null) return words.unreported;
  const date = item.reported_date ?? item.reported_source?.date;
  const name = item.reported_source?.name ?? item.source.name;
  return [words.reported, date ? words.asOf(f.value.date(date)) : "", name].filter(Boolean).join(", ");
}

export function PlanTile({ item }: { item: PlanItem }) {
  const words = t.value.plan;
  if (item.value === null) {
    return (
      <a class="plan-tile unknown" href="/plan">
        <span class="plan-name">{said(item.title)}</span>
        <span class="plan-foot">
          <span class="plan-target" title={targetText(item)}>{targetSign(item)}</span>
          <span class={`plan-kind ${item.kind}`}>{item.kind === "reported" ? words.unreported : words.noValue}</span>
        </span>
      </a>
    );
  }
  return (
    <a class="plan-tile" href="/plan">
      <span class="plan-name">{said(item.title)}</span>
      <span class="plan-value">{f.value.quantity(item.value, item.unit, decimalsOf(item))}</span>
      <Bar item={item} />
      <span class="plan-foot">
        <span class="plan-target" title={targetText(item)}>
          {targetSign(item)}
          {item.met !== null && <span class={item.met ? "met" : "not-met"}> · {item.met ? words.met : words.notMet}</span>}
        </span>
        <span class={`plan-kind ${item.kind}`}>{provenance(item)}</span>
      </span>
    </a>
  );
}
