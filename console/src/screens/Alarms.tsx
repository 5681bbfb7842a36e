import { useComputed } from "@preact/signals";
import { address } from "../api/client.ts";
import { SEVERITIES, type AlarmView, type Severity } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { alarmText, impact } from "../parts/alarm-row.tsx";
import { Age, Empty, Failure, Loading, Moment, Pick, rowKeys, SearchBox, Segments } from "../parts/common.tsx";
import { SeverityMark, SeverityShape } from "../parts/marks.tsx";
import { query, search, setQuery } from "../router.ts";
import { f } from "../use.ts";
import { AlarmPanel } from "./AlarmPanel.tsx";
import { usePaged } from "./paged.ts";

/** The alarms in force (live), or their history. Filters and the chosen alarm are in the address. */
export function Alarms({ id, past }: { id: string | null; past: boolean }) {
  const words = t.value.alarms;
  const totals = store.alarms.value?.totals;
  const n = f.value.number;
  return (
    <div class={`split ${id === null ? "" : "has-detail"}`}>
      <div class="split-list">
        <header class="page-head">
          <h1>{past ? t.value.history.title : words.title}</h1>
          {!past && totals && (
            <p class="quiet">
              {words.summary(n(store.standing.value ?? 0), n(totals.unacknowledged))}
              {totals.suppressed > 0 && ` · ${words.hidden(n(totals.suppressed))}`}
            </p>
          )}
        </header>
        <Filters past={past} />
        {past || needsServer() ? <FromServer id={id} past={past} /> : <FromStream id={id} />}
      </div>
      {id !== null && (
        <aside class="split-detail" aria-label={t.value.alarm.label}>
          <AlarmPanel key={id} id={id} past={past} />
        </aside>
      )}
    </div>
  );
}

/**
 * The stream has the worst of the alarms in force that are not suppressed. In a storm that is not
 * all: what a filter looks for, and the suppressed, are asked for.
 */
function needsServer(): boolean {
  const q = query.value;
  if (q.get("suppressed") === "1" || q.get("every") === "1") return true;
  const block = store.alarms.value;
  const filtered = ["severity", "kind", "q", "asset"].some((name) => q.has(name));
  return filtered && block !== null && (store.standing.value ?? 0) > block.active.length;
}

function Filters({ past }: { past: boolean }) {
  const words = t.value.alarms;
  const q = query.value;
  const chosen = q.getAll("severity").flatMap((value) => value.split(","));
  const totals = store.alarms.value?.totals;
  const toggle = (severity: Severity): void => {
    const next = chosen.includes(severity) ? chosen.filter((s) => s !== severity) : [...chosen, severity];
    setQuery({ severity: next.join(",") });
  };
  const kinds = Object.entries(store.catalog.value?.kinds ?? {});
  const filtered = ["severity", "kind", "q", "asset", "suppressed", "every"].some((name) => q.has(name));
  return (
    <div class="filters" role="search">
      <div class="severity-filter" role="group" aria-label={words.severity}>
        {SEVERITIES.map((severity) => (
          <button
            key={severity}
            type="button"
            aria-pressed={chosen.includes(severity)}
            onClick={() => { toggle(severity); }}
          >
            <SeverityShape severity={severity} />
            <span>{t.value.severity[severity]}</span>
            {!past && totals && <span class="filter-count">{f.value.number(totals[severity])}</span>}
          </button>
        ))}
      </div>
      {!past && (
        <Segments
          label={words.suppressed}
          value={q.get("suppressed") === "1" ? "1" : ""}
          choices={[
            { value: "", label: words.hideSuppressed },
            { value: "1", label: words.showSuppressed },
          ]}
          choose={(value) => { setQuery({ suppressed: value }); }}
        />
      )}
      <Pick
        label={words.kind}
        value={q.get("kind") ?? ""}
        choices={[{ value: "", label: t.value.all }, ...kinds.map(([value, kind]) => ({ value, label: said(kind.title) }))]}
        choose={(kind) => { setQuery({ kind }); }}
      />
      <SearchBox
        label={t.value.search}
        hint={words.searchHint}
        value={q.get("q") ?? ""}
        search={(text) => { setQuery({ q: text }, { replace: true }); }}
      />
      {q.has("asset") && <span class="filter-chip id">{q.get("asset")}</span>}
      {filtered && (
        <button
          type="button"
          class="plain"
          onClick={() => { setQuery({ severity: null, kind: null, q: null, asset: null, suppressed: null, every: null }); }}
        >
          {t.value.clearFilters}
        </button>
      )}
    </div>
  );
}

/** Vietnamese without marks, so that "nha trang" finds "Nhà Trắng" too. */
export function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").replace(/[đĐ]/g, "d").toLowerCase();
}

export function matches(alarm: AlarmView, filter: URLSearchParams): boolean {
  const severities = filter.getAll("severity").flatMap((value) => value.split(","));
  if (severities.length > 0 && !severities.includes(alarm.severity)) return false;
  const [kind, asset, q] = [filter.get("kind"), filter.get("asset"), filter.get("q")];
  if (kind !== null && alarm.kind !== kind) return false;
  if (asset !== null && alarm.asset !== asset) return false;
  if (q === null || q === "") return true;
  const { asset: id, asset_name, site_name, commune_name, text_vi, text_en } = alarm;
  return plain([id, asset_name, site_name, commune_name, text_vi, text_en].join(" ")).includes(plain(q));
}

function FromStream({ id }: { id: string | null }) {
  const shown = useComputed(() => store.alarms.value?.active.filter((alarm) => matches(alarm, query.value)) ?? []);
  const block = store.alarms.value;
  const words = t.value;
  if (!block) return <Loading />;
  if (block.active.length === 0) {
    return (
      <Empty title={words.alarms.empty}>
        <p>
          {block.last_cleared_ms === null
            ? words.overview.calmNever
            : words.overview.calmSince(f.value.age(store.nowMs.value - block.last_cleared_ms))}
        </p>
      </Empty>
    );
  }
  if (shown.value.length === 0) return <Empty title={words.alarms.emptyFilter} />;
  const total = store.standing.value ?? 0;
  return (
    <>
      <Table alarms={shown.value} id={id} past={false} />
      {total > block.active.length && (
        <p class="worst-only">
          {words.alarms.worstOnly(f.value.number(block.active.length), f.value.number(total))}{" "}
          <button type="button" class="plain" onClick={() => { setQuery({ every: "1" }); }}>
            {words.alarms.showEvery}
          </button>
        </p>
      )}
    </>
  );
}

function FromServer({ id, past }: { id: string | null; past: boolean }) {
  const q = query.value;
  const url = (cursor: string | null): string => {
    const base = address("/api/v1/alarms", {
      state: past ? "all" : "raised",
      kind: q.get("kind"),
      asset: q.get("asset"),
      q: q.get("q"),
      suppressed: past || q.get("suppressed") === "1" ? null : "false",
      limit: 100,
      before_ms: cursor,
    });
    const severities = q.getAll("severity").flatMap((value) => value.split(",")).filter(Boolean);
    return base + severities.map((severity) => `&severity=${encodeURIComponent(severity)}`).join("");
  };
  const { items, first, more, loading, error, reload } = usePaged<AlarmView>(url(null), url, past ? 15_000 : 5_000);
  if (!first) return error === null ? <Loading /> : <Failure error={error} retry={reload} />;
  if (items.length === 0) {
    return <Empty title={search.value === "" ? t.value.history.empty : t.value.alarms.emptyFilter} />;
  }
  return (
    <>
      <Table alarms={items} id={id} past={past} />
      {more && (
        <button type="button" class="more" disabled={loading} onClick={more}>
          {t.value.loadMore}
        </button>
      )}
    </>
  );
}

function Table({ alarms, id, past }: { alarms: readonly AlarmView[]; id: string | null; past: boolean }) {
  const words = t.value.alarms;
  const base = past ? "/history" : "/alarms";
  return (
    <div class="table-wrap">
      <table class="table alarm-table" onKeyDown={rowKeys}>
        <thead>
          <tr>
            <th scope="col">{words.severity}</th>
            <th scope="col">{words.text}</th>
            <th scope="col" class="wide-only">{words.asset}</th>
            <th scope="col" class="wide-only">{words.place}</th>
            <th scope="col" class="num">{words.raised}</th>
            <th scope="col" class="num">{past ? t.value.history.duration : words.age}</th>
          </tr>
        </thead>
        <tbody>
          {alarms.map((alarm) => {
            const effects = impact(alarm);
            const cleared = alarm.state === "cleared";
            return (
              <tr
                key={alarm.id}
                class={`${alarm.id === id ? "chosen" : ""} ${cleared ? "cleared" : ""} ${!cleared && !alarm.acknowledged && !alarm.suppressed ? "unacknowledged" : ""}`}
              >
                <td>
                  <SeverityMark severity={alarm.severity} cleared={cleared} />
                </td>
                <td>
                  <a
                    class="row-link"
                    data-row
                    href={`${base}/${encodeURIComponent(alarm.id)}${search.value}`}
                    aria-current={alarm.id === id ? "true" : undefined}
                  >
                    {alarmText(alarm)}
                  </a>
                  <span class="narrow-only row-sub">
                    <span class="id">{alarm.asset}</span> {alarm.commune_name}
                  </span>
                  {(effects.length > 0 || alarm.suppressed || alarm.acknowledged) && (
                    <span class="row-sub">
                      {[
                        ...effects,
                        ...(alarm.suppressed ? [t.value.alarm.transition.suppressed] : []),
                        ...(alarm.acknowledged && !cleared ? [words.acked] : []),
                      ].join(" · ")}
                    </span>
                  )}
                </td>
                <td class="wide-only">
                  <span class="id">{alarm.asset}</span>
                </td>
                <td class="wide-only place">{alarm.commune_name}</td>
                <td class="num">
                  <Moment ms={alarm.raised_ms} />
                </td>
                <td class="num">
                  {cleared && alarm.cleared_ms !== null ? (
                    f.value.age(alarm.cleared_ms - alarm.raised_ms)
                  ) : (
                    <Age ms={alarm.raised_ms} />
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
