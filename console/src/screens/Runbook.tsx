/** What to do about a rule's alarm: the catalog's own words, beside what is active now. */
import type { Metric, Rule } from "../api/types.ts";
import { said, t, word } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { alarmText } from "../parts/alarm-row.tsx";
import { Age, Empty, Fact, Facts, Loading } from "../parts/common.tsx";
import { SeverityMark } from "../parts/marks.tsx";
import { alarmLink, runbookLink } from "../router.ts";
import { f } from "../use.ts";
import { SystemTabs } from "./System.tsx";

const isNumber = (value: unknown): value is number => typeof value === "number";

/** A condition as a sentence. */
export function condition(rule: Rule, metrics: Readonly<Record<string, Metric>>): string {
  const { when } = rule;
  const words = t.value.runbook;
  const name = typeof when["metric"] === "string" ? when["metric"] : "";
  const metric = metrics[name];
  const title = metric ? said(metric.title) : name;
  const write = (value: number): string => f.value.quantity(value, metric?.unit ?? "1", Math.max(metric?.decimals ?? 0, Number.isInteger(value) ? 0 : 1));
  const parts: string[] = [];
  if (isNumber(when["above"])) parts.push(words.above(title, write(when["above"])));
  if (isNumber(when["below"])) parts.push(words.below(title, write(when["below"])));
  if (isNumber(when["rate_above_per_min"])) parts.push(words.rateAbove(title, write(when["rate_above_per_min"])));
  if (isNumber(when["rate_below_per_min"])) parts.push(words.rateBelow(title, write(Math.abs(when["rate_below_per_min"]))));
  if (isNumber(when["no_data_cadences"])) parts.push(words.noData(f.value.number(when["no_data_cadences"])));
  if (isNumber(when["changes"]) && isNumber(when["within_s"])) {
    parts.push(words.flapping(title, f.value.number(when["changes"]), f.value.age(when["within_s"] * 1000)));
  }
  const equals = when["equals"];
  if (typeof equals === "boolean") parts.push(words.equals(title, equals ? t.value.yes : t.value.no));
  else if (typeof equals === "string") parts.push(words.equals(title, equals));
  if (rule.for_s) parts.push(words.lasting(f.value.age(rule.for_s * 1000)));
  if (isNumber(when["clear_below"])) parts.push(words.clearBelow(write(when["clear_below"])));
  if (isNumber(when["clear_above"])) parts.push(words.clearAbove(write(when["clear_above"])));
  return parts.join(", ");
}

function find(id: string): { rule: Rule; kind: string } | null {
  for (const [kind, { rules }] of Object.entries(store.catalog.value?.kinds ?? {})) {
    const rule = rules.find((candidate) => candidate.id === id);
    if (rule) return { rule, kind };
  }
  return null;
}

export function Runbook({ id }: { id: string | null }) {
  const words = t.value.runbook;
  const catalog = store.catalog.value;
  if (!catalog) return <div class="page"><Loading /></div>;
  if (id === null) return <All />;
  const found = find(id);
  const active = store.alarms.value?.active.filter((alarm) => alarm.source === id) ?? [];
  return (
    <div class="page runbook">
      <header class="page-head">
        <p class="quiet">
          <a href="/runbooks">{words.title}</a>
          {found && ` / ${said(catalog.kinds[found.kind]?.title ?? { vi: found.kind, en: found.kind })}`}
        </p>
        <h1>{found ? said(found.rule.text) : id === "device" ? words.device : t.value.missing}</h1>
      </header>
      {!found && <p class="panel-text">{id === "device" ? words.deviceText : t.value.missingText}</p>}
      {found && (
        <section class="panel">
          <header class="panel-head">
            <h2>{words.do}</h2>
            <SeverityMark severity={found.rule.severity} />
          </header>
          <p class="panel-text runbook-do">{said(found.rule.action)}</p>
          <Facts>
            <Fact name={words.when}>{condition(found.rule, catalog.kinds[found.kind]?.metrics ?? {})}</Fact>
            <Fact name={t.value.alarm.cause}>{word(t.value.cause, found.rule.probable_cause)}</Fact>
            <Fact name={words.effect}>{words.effects[found.rule.effect]}</Fact>
            <Fact name={words.source}>{found.rule.source}</Fact>
            <Fact name={t.value.alarm.source}><span class="id">{found.rule.id}</span></Fact>
          </Facts>
        </section>
      )}
      <section class="panel">
        <header class="panel-head">
          <h2>{words.now}</h2>
        </header>
        {active.length === 0 && <p class="panel-text quiet">{words.noneNow}</p>}
        <ul class="alarm-list">
          {active.map((alarm) => (
            <li key={alarm.id}>
              <a href={alarmLink(alarm.id)}>
                <SeverityMark severity={alarm.severity} />
                <span class="alarm-list-text"><span class="id">{alarm.asset}</span> {alarmText(alarm)}</span>
                <Age ms={alarm.raised_ms} />
              </a>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function All() {
  const words = t.value.runbook;
  const kinds = Object.entries(store.catalog.value?.kinds ?? {}).filter(([, { rules }]) => rules.length > 0);
  return (
    <div class="page">
      <header class="page-head">
        <h1>{t.value.system.title}</h1>
        <SystemTabs />
      </header>
      {kinds.length === 0 && <Empty title={words.empty} />}
      <div class="runbook-grid">
        {kinds.map(([kind, { title, rules }]) => (
          <section class="panel" key={kind}>
            <header class="panel-head">
              <h2>{said(title)}</h2>
            </header>
            <ul class="alarm-list">
              {rules.map((rule) => (
                <li key={rule.id}>
                  <a href={runbookLink(rule.id)}>
                    <SeverityMark severity={rule.severity} />
                    <span class="alarm-list-text">{said(rule.text)}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </div>
  );
}
