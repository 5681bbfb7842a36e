import type { AlarmView, PlanItem } from "../api/types.ts";
import { get } from "../api/client.ts";
import type { Kpis } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { ProvinceMap } from "../map/ProvinceMap.tsx";
import { alarmText, impact } from "../parts/alarm-row.tsx";
import { FLOOD, RateBars } from "../parts/bars.tsx";
import { Age, Empty, Failure, Loading, rowKeys } from "../parts/common.tsx";
import { SeverityShape } from "../parts/marks.tsx";
import { PlanTile } from "../parts/plan-tile.tsx";
import { alarmLink } from "../router.ts";
import { f, useLoaded } from "../use.ts";

/** The plan, with the newest measured values of the stream. */
export function usePlan() {
  const loaded = useLoaded("kpis", (stop) => get<Kpis>("/api/v1/kpis", stop), 15_000);
  return { ...loaded, plan: loaded.data?.plan ?? null };
}

const SHOWN = 60;

export function Overview() {
  return (
    <div class="overview">
      <h1 class="hidden">{t.value.overview.title}</h1>
      <PlanColumn />
      <ProvinceMap />
      <Incidents />
      <Foot />
    </div>
  );
}

function PlanColumn() {
  const { plan, error, reload } = usePlan();
  return (
    <section class="panel plan-column" aria-labelledby="plan-title">
      <header class="panel-head">
        <h2 id="plan-title">
          <a href="/plan">{t.value.plan.short}</a>
        </h2>
      </header>
      <div class="plan-tiles">
        {plan === null && error !== null && <Failure error={error} retry={reload} />}
        {plan === null && error === null && <Loading rows={6} />}
        {plan?.length === 0 && <Empty title={t.value.plan.empty} />}
        {plan?.map((item: PlanItem) => <PlanTile key={item.id} item={item} />)}
      </div>
    </section>
  );
}

function Incidents() {
  const block = store.alarms.value;
  const words = t.value.overview;
  const n = f.value.number;
  const recent = block?.per_10_min.at(-1) ?? 0;
  const total = store.standing.value ?? 0;
  const shown = block?.active.slice(0, SHOWN) ?? [];
  return (
    <section class="panel incidents" aria-labelledby="incidents-title">
      <header class="panel-head">
        <h2 id="incidents-title">
          <a href="/alarms">{words.incidents}</a>
        </h2>
        {total > 0 && <span class="quiet">{words.incidentsCount(n(total))}</span>}
      </header>
      {recent >= FLOOD && <p class="flood-note">{words.flood(n(recent))}</p>}
      {!block && <Loading rows={5} />}
      {block && shown.length === 0 && (
        <Empty title={words.calm}>
          <p>
            {block.last_cleared_ms === null
              ? words.calmNever
              : words.calmSince(f.value.age(store.nowMs.value - block.last_cleared_ms))}
          </p>
        </Empty>
      )}
      {shown.length > 0 && (
        <ul class="incident-list" onKeyDown={rowKeys}>
          {shown.map((alarm) => (
            <Incident key={alarm.id} alarm={alarm} />
          ))}
          {total > shown.length && (
            <li class="incident-more">
              <a href="/alarms">{words.more(n(total - shown.length))}</a>
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function Incident({ alarm }: { alarm: AlarmView }) {
  const effects = impact(alarm);
  const text = alarmText(alarm);
  return (
    <li class={`incident ${alarm.severity} ${alarm.acknowledged ? "" : "unacknowledged"}`}>
      <a href={alarmLink(alarm.id)} data-row>
        <span class="incident-shape">
          <SeverityShape severity={alarm.severity} />
        </span>
        <span class="incident-text">
          <span class="hidden">{t.value.severity[alarm.severity]}: </span>
          {text}
        </span>
        <Age ms={alarm.raised_ms} />
        <span class="incident-where">
          {!text.includes(alarm.asset) && <span class="id">{alarm.asset} </span>}
          {alarm.commune_name}
          {alarm.acknowledged && <span class="incident-ack"> · {t.value.alarms.acked}</span>}
        </span>
        {effects.length > 0 && (
          <span class="incident-impact">
            {effects.map((effect) => (
              <span key={effect}>{effect}</span>
            ))}
          </span>
        )}
      </a>
    </li>
  );
}

function Foot() {
  const words = t.value.overview;
  const { alarms, ingest, deliveries, live } = store;
  const n = f.value.number;
  const rate = alarms.value?.per_10_min ?? [];
  const now = rate.at(-1) ?? 0;
  return (
    <footer class="foot">
      <a class="foot-item foot-rate" href="/history">
        <span class="foot-name">{words.rate}</span>
        <RateBars counts={rate} label={words.rate} />
        <span class={now >= FLOOD ? "loud" : ""}>{words.rateNow(n(now))}</span>
        <span class="quiet foot-note">{words.rateNote}</span>
      </a>
      <a class="foot-item" href="/system">
        <span class="foot-name">{words.ingest}</span>
        {ingest.value ? (
          <>
            <span>
              {n(ingest.value.messages_per_s)} {t.value.units.perS}
            </span>
            {ingest.value.connected ? (
              <span class={ingest.value.behind > 5_000 ? "loud" : "quiet"}>{words.behind(n(ingest.value.behind))}</span>
            ) : (
              <span class="loud">{words.brokerAway}</span>
            )}
          </>
        ) : (
          <span class="quiet">–</span>
        )}
      </a>
      <a class="foot-item" href="/deliveries">
        <span class="foot-name">{words.deliveries}</span>
        {deliveries.value ? (
          <>
            <span>{words.deliveriesState(n(deliveries.value.delivered), n(deliveries.value.pending))}</span>
            {deliveries.value.dead > 0 && <span class="loud">{words.dead(n(deliveries.value.dead))}</span>}
          </>
        ) : (
          <span class="quiet">–</span>
        )}
      </a>
      {ingest.value && ingest.value.quarantined_total > 0 && (
        <a class="foot-item" href="/quarantine">
          <span>{words.quarantined(n(ingest.value.quarantined_total))}</span>
        </a>
      )}
      {live.value && !live.value.ready && (
        <a class="foot-item loud" href="/system">
          {words.notReady}: {live.value.not_ready.join(", ")}
        </a>
      )}
    </footer>
  );
}

