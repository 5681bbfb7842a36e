import { get } from "../api/client.ts";
import type { AlarmView, AssetPageDocument, Metric } from "../api/types.ts";
import { said, t, word } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { History, type Span } from "../charts/History.tsx";
import { alarmText } from "../parts/alarm-row.tsx";
import { Age, Empty, Fact, Facts, Failure, Loading, Moment, Segments } from "../parts/common.tsx";
import { SeverityMark, StateMark } from "../parts/marks.tsx";
import { alarmLink, assetLink, query, setQuery } from "../router.ts";
import { f, useLoaded } from "../use.ts";

export function AssetPage({ id }: { id: string }) {
  const { data, error, reload } = useLoaded(
    id,
    (stop) => get<AssetPageDocument>(`/api/v1/assets/${encodeURIComponent(id)}`, stop),
    2_000,
  );
  if (!data) return <div class="page">{error === null ? <Loading rows={12} /> : <Failure error={error} retry={reload} />}</div>;
  const { asset } = data;
  const kind = store.catalog.value?.kinds[asset.kind];
  const span = spanOf(query.value.get("range"));
  const metrics = Object.entries(kind?.metrics ?? {});
  const charted = metrics.filter(([, metric]) => metric.show && (metric.type === "float" || metric.type === "int"));
  const words = t.value.asset;
  // Those that still stand are above.
  const cleared = data.recent_alarms.filter((alarm) => alarm.state === "cleared");
  return (
    <div class="page asset-page">
      <header class="page-head asset-head">
        <p class="quiet">
          <a href="/assets">{t.value.assets.title}</a> / {kind ? said(kind.title) : asset.kind}
        </p>
        <h1>
          <span class="id">{asset.id}</span> {asset.name !== asset.id && <span class="asset-name">{asset.name}</span>}
        </h1>
        <p class="asset-state">
          <StateMark state={store.abnormal.value.get(asset.id) ?? data.state} />
          <span class="quiet">
            {t.value.assets.lastSeen}: <Age ms={data.last_seen_ms} ago />
          </span>
        </p>
      </header>
      <div class="asset-grid">
        <section class="panel asset-values">
          <header class="panel-head">
            <h2>{words.values}</h2>
          </header>
          <Values document={data} metrics={metrics} />
        </section>
        <div class="asset-side">
          <section class="panel">
            <header class="panel-head">
              <h2>{words.alarms}</h2>
              <a class="quiet" href={`/history?asset=${encodeURIComponent(asset.id)}`}>{t.value.nav.history}</a>
            </header>
            {data.alarms.length === 0 ? <p class="panel-text quiet">{words.noAlarms}</p> : <AlarmList alarms={data.alarms} />}
            {cleared.length > 0 && (
              <>
                <h3 class="panel-sub">{words.recent}</h3>
                <AlarmList alarms={cleared.slice(0, 6)} />
              </>
            )}
          </section>
          <Details document={data} />
          <Neighbours document={data} />
        </div>
        <section class="panel asset-history">
          <header class="panel-head">
            <h2>{words.history}</h2>
            <Segments<Span>
              label={words.range}
              value={span}
              choices={[
                { value: "1h", label: words.lastHour },
                { value: "24h", label: words.lastDay },
                { value: "7d", label: words.lastWeek },
              ]}
              choose={(range) => { setQuery({ range: range === "1h" ? null : range }); }}
            />
          </header>
          <History asset={asset.id} kind={asset.kind} metrics={charted} span={span} />
        </section>
      </div>
    </div>
  );
}

function spanOf(text: string | null): Span {
  return text === "24h" || text === "7d" ? text : "1h";
}

function AlarmList({ alarms }: { alarms: readonly AlarmView[] }) {
  return (
    <ul class="alarm-list">
      {alarms.map((alarm) => (
        <li key={alarm.id}>
          <a href={alarmLink(alarm.id)}>
            <SeverityMark severity={alarm.severity} cleared={alarm.state === "cleared"} />
            <span class="alarm-list-text">{alarmText(alarm)}</span>
            {alarm.state === "cleared" ? <Moment ms={alarm.raised_ms} /> : <Age ms={alarm.raised_ms} />}
          </a>
        </li>
      ))}
    </ul>
  );
}

/** A value as its metric writes it. */
export function show(value: number | boolean | string, metric: Metric): string {
  if (typeof value === "boolean") return value ? t.value.yes : t.value.no;
  if (typeof value === "string") return value;
  return f.value.quantity(value, metric.unit, metric.decimals);
}

function outside(value: number | boolean | string, metric: Metric): boolean {
  if (typeof value !== "number" || !metric.normal) return false;
  return value < metric.normal[0] || value > metric.normal[1];
}

function Values({ document, metrics }: { document: AssetPageDocument; metrics: [string, Metric][] }) {
  const words = t.value.asset;
  const seen = metrics.filter(([name]) => document.values[name] !== undefined);
  if (seen.length === 0) {
    return (
      <Empty title={words.noValues}>
        <p>{words.noValuesHint}</p>
      </Empty>
    );
  }
  seen.sort(([, a], [, b]) => Number(b.show) - Number(a.show));
  return (
    <div class="table-wrap">
      <table class="table values">
        <thead>
          <tr>
            <th scope="col">{words.measure}</th>
            <th scope="col" class="num">{words.value}</th>
            <th scope="col" class="num wide-only">{words.normal}</th>
            <th scope="col" class="num">{words.age}</th>
          </tr>
        </thead>
        <tbody>
          {seen.map(([name, metric]) => {
            const last = document.values[name];
            if (!last) return null;
            const off = outside(last.value, metric);
            const normal = metric.normal
              ? metric.normal.map((bound) => f.value.number(bound, decimals(bound))).join("–")
              : "–";
            return (
              <tr key={name} class={last.stale ? "stale" : ""} title={last.stale ? words.staleNote : undefined}>
                <th scope="row" title={[name, metric.standard, metric.source].filter(Boolean).join(" · ")}>
                  {said(metric.title)}
                  {metric.normal && <span class="narrow-only row-sub">{words.normal}: {normal}</span>}
                </th>
                <td class={`num value ${off && !last.stale ? "off" : ""}`}>{show(last.value, metric)}</td>
                <td class="num quiet wide-only">{normal}</td>
                <td class="num">
                  <Age ms={last.at_ms} />
                  {last.stale && <span class="stale-word"> {words.stale}</span>}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function decimals(value: number): number {
  return Number.isInteger(value) ? 0 : 1;
}

function Details({ document: { asset } }: { document: AssetPageDocument }) {
  const words = t.value.asset;
  const own = store.catalog.value?.kinds[asset.kind]?.own ?? false;
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{words.details}</h2>
        {!own && (
          <a class="quiet" href={`/?map=${asset.lat.toFixed(4)},${asset.lon.toFixed(4)},12.5`}>{t.value.alarm.showOnMap}</a>
        )}
      </header>
      <Facts>
        <Fact name={words.site}>{asset.site_name || asset.site}</Fact>
        {asset.far_site && <Fact name={words.far}>{asset.far_site_name ?? asset.far_site}</Fact>}
        <Fact name={t.value.assets.commune}>{asset.commune_name}</Fact>
        {asset.operator && <Fact name={t.value.assets.operator}>{asset.operator}</Fact>}
        {asset.length_km ? <Fact name={words.length}>{f.value.quantity(asset.length_km, "km", 1)}</Fact> : null}
        {asset.population ? (
          <Fact name={words.population}>{f.value.number(asset.population)} {t.value.units.people}</Fact>
        ) : null}
        <Fact name={words.position}>{f.value.number(asset.lat, 4)}, {f.value.number(asset.lon, 4)}</Fact>
        <Fact name={words.simulated}>
          {own ? words.isOwn : asset.simulated ? words.isSimulated : asset.synthetic ? words.isLab : words.isReal}
        </Fact>
        {Object.entries(asset.attributes ?? {}).map(([name, value]) => (
          <Fact key={name} name={word(t.value.attribute, name).replaceAll("_", " ")}>
            {typeof value === "boolean" ? (value ? t.value.yes : t.value.no) : typeof value === "number" ? f.value.number(value, decimals(value)) : value}
          </Fact>
        ))}
      </Facts>
    </section>
  );
}

function Neighbours({ document: { neighbours } }: { document: AssetPageDocument }) {
  const words = t.value.asset;
  const groups = [
    [words.spans, neighbours.spans],
    [words.sameSite, neighbours.stations],
  ] as const;
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{words.neighbours}</h2>
      </header>
      {groups.every(([, ids]) => ids.length === 0) && <p class="panel-text quiet">{words.noNeighbours}</p>}
      {groups.map(
        ([title, ids]) =>
          ids.length > 0 && (
            <div key={title}>
              <h3 class="panel-sub">{title}</h3>
              <ul class="neighbours">
                {ids.slice(0, 40).map((other) => (
                  <li key={other}>
                    <a href={assetLink(other)}>
                      <span class="id">{other}</span>
                      <StateMark state={store.stateOf(other)} />
                    </a>
                  </li>
                ))}
              </ul>
            </div>
          ),
      )}
    </section>
  );
}
