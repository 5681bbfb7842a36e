import type { PlanItem } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import { Empty, Failure, Loading } from "../parts/common.tsx";
import { Bar, decimalsOf, provenance, targetText } from "../parts/plan-tile.tsx";
import { f } from "../use.ts";
import { usePlan } from "./Overview.tsx";

export function Plan() {
  const { plan, error, reload } = usePlan();
  const words = t.value.plan;
  const measured = plan?.filter(({ kind }) => kind === "measured") ?? [];
  const reported = plan?.filter(({ kind }) => kind === "reported") ?? [];
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        <p class="quiet">{words.note}</p>
      </header>
      {plan === null && error !== null && <Failure error={error} retry={reload} />}
      {plan === null && error === null && <Loading />}
      {plan?.length === 0 && <Empty title={words.empty} />}
      {measured.length > 0 && <Group title={words.measuredLong} items={measured} />}
      {reported.length > 0 && <Group title={words.reportedLong} items={reported} />}
    </div>
  );
}

function Group({ title, items }: { title: string; items: readonly PlanItem[] }) {
  return (
    <section class="plan-group">
      <h2>{title}</h2>
      <div class="plan-cards">
        {items.map((item) => (
          <Card key={item.id} item={item} />
        ))}
      </div>
    </section>
  );
}

function Source({ source }: { source: PlanItem["source"] }) {
  const date = source.date ? `, ${f.value.date(source.date)}` : "";
  return source.url ? (
    <a href={source.url} rel="noreferrer noopener" target="_blank">
      {source.name}
      {date}
    </a>
  ) : (
    <span>
      {source.name}
      {date}
    </span>
  );
}

function Card({ item }: { item: PlanItem }) {
  const words = t.value.plan;
  return (
    <article class="panel plan-card">
      <h3>{said(item.title)}</h3>
      <p class={`plan-card-value ${item.value === null ? "quiet" : ""}`}>
        {item.value === null ? words.noValue : f.value.quantity(item.value, item.unit, decimalsOf(item))}
      </p>
      <Bar item={item} />
      <p class="plan-card-target">
        {targetText(item)}
        {item.met !== null && <span class={item.met ? "met" : "not-met"}> · {item.met ? words.met : words.notMet}</span>}
      </p>
      <p class={`plan-kind ${item.kind}`}>{provenance(item)}</p>
      <dl class="plan-sources">
        <div>
          <dt>{words.targetSource}</dt>
          <dd>
            <Source source={item.source} />
          </dd>
        </div>
        {item.kind === "reported" && item.reported_source && (
          <div>
            <dt>{words.valueSource}</dt>
            <dd>
              <Source source={item.reported_source} />
            </dd>
          </div>
        )}
      </dl>
    </article>
  );
}
