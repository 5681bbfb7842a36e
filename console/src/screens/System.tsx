import { address, get, post, signedOut } from "../api/client.ts";
import type { JournalStatus, Page, QuarantineRow, Readiness, StageStatus } from "../api/types.ts";
import { t, word } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { Age, Empty, Fact, Facts, Failure, Loading, Moment, Pick } from "../parts/common.tsx";
import { language } from "../preferences.ts";
import { query, route, setQuery } from "../router.ts";
import { f, useLoaded } from "../use.ts";
import { usePaged } from "./paged.ts";

function Tabs() {
  const screen = route.value.screen;
  const total = store.ingest.value?.quarantined_total ?? 0;
  return (
    <nav class="tabs" aria-label={t.value.system.title}>
      <a href="/system" aria-current={screen === "system" ? "page" : undefined}>{t.value.system.stages}</a>
      <a href="/quarantine" aria-current={screen === "quarantine" ? "page" : undefined}>
        {t.value.quarantine.title} <span class="quiet">{f.value.number(total)}</span>
      </a>
      <a href="/runbooks" aria-current={screen === "runbook" ? "page" : undefined}>{t.value.runbook.title}</a>
    </nav>
  );
}

export { Tabs as SystemTabs };

const ORDER = ["ingest", "store", "rollup", "kpi", "alarms", "alarm_series", "notify", "own", "web"];

export function System() {
  const words = t.value.system;
  const { data, error, reload } = useLoaded("readyz", (stop) => get<Readiness>("/readyz", stop, [503]), 3_000);
  const stages = Object.entries(data?.stages ?? {}).sort(([a], [b]) => {
    const at = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
    return at(a) - at(b);
  });
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        <Tabs />
      </header>
      {!data && (error === null ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data && (
        <div class="system-grid">
          <section class="panel system-stages">
            <header class="panel-head">
              <h2>{words.stages}</h2>
              <span class={data.ready ? "quiet" : "loud"}>{data.ready ? t.value.overview.ready : t.value.overview.notReady}</span>
            </header>
            <Stages stages={stages} />
          </section>
          <Broker />
          {data.journal && <Journal journal={data.journal} />}
          <Session />
        </div>
      )}
    </div>
  );
}

function Stages({ stages }: { stages: [string, StageStatus][] }) {
  const words = t.value.system;
  const n = f.value.number;
  return (
    <div class="table-wrap">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">{words.stage}</th>
            <th scope="col">{words.state}</th>
            <th scope="col" class="num">{words.behind}</th>
            <th scope="col" class="num">{words.lag}</th>
            <th scope="col" class="num wide-only">{words.position}</th>
            <th scope="col" class="num wide-only">{words.restarts}</th>
          </tr>
        </thead>
        <tbody>
          {stages.map(([name, stage]) => (
            <tr key={name} class={stage.ready ? "" : "not-ready"}>
              <th scope="row">
                {word(words.stageName, name)}
                <span class="row-sub">{(language.value === "vi" ? stage.note_vi : stage.note) || word(words.stageHelp, name)}</span>
                {stage.last_error !== "" && (
                  <span class="row-sub error-text">
                    {stage.last_error} {stage.last_error_ms !== null && <Age ms={stage.last_error_ms} ago />}
                  </span>
                )}
              </th>
              <td>
                <span class={`ready-mark ${stage.ready ? "yes" : "no"}`} aria-hidden="true" />
                {stage.ready ? words.ready : words.notReady}
                {stage.state !== "running" && <span class="row-sub">{words.stageState[stage.state]}</span>}
              </td>
              <td class="num">{n(stage.behind)}</td>
              <td class="num">{f.value.quantity(stage.lag_s, "s", stage.lag_s < 10 ? 1 : 0)}</td>
              <td class="num wide-only">{n(stage.position)}</td>
              <td class="num wide-only">{n(stage.restarts)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Journal({ journal }: { journal: JournalStatus }) {
  const words = t.value.system;
  const { bytes } = f.value;
  const share = journal.bound_bytes > 0 ? journal.bytes / journal.bound_bytes : 0;
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{words.journal}</h2>
        <span class={journal.admits ? "quiet" : "loud"}>{journal.admits ? words.admits : words.refuses}</span>
      </header>
      <div class="panel-text">
        <svg class={`usage ${share >= 0.5 ? "high" : ""}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect class="usage-track" width="100" height="4" />
          <rect class="usage-value" width={Math.min(100, share * 100)} height="4" />
        </svg>
      </div>
      <Facts>
        <Fact name={words.journalSize}>
          {words.journalOf(bytes(journal.bytes), bytes(journal.bound_bytes))}
          {typeof journal.hours_left === "number" && (
            <span class="quiet"> · {words.hoursLeft(f.value.age(journal.hours_left * 3_600_000))}</span>
          )}
        </Fact>
        <Fact name={words.disk}>
          {bytes(journal.free_disk_bytes)} <span class="quiet">({words.reserve(bytes(journal.reserve_bytes))})</span>
        </Fact>
        {Object.entries(journal.positions).map(([name, position]) => {
          const behind = Math.max(0, journal.end - position);
          return (
            <Fact key={name} name={word(words.stageName, name)}>
              {behind <= 2 ? words.atEnd : words.entries(f.value.number(behind))}
            </Fact>
          );
        })}
      </Facts>
    </section>
  );
}

function Broker() {
  const words = t.value.system;
  const ingest = store.ingest.value;
  if (!ingest) return null;
  const n = f.value.number;
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{words.broker}</h2>
        <span class={ingest.connected ? "quiet" : "loud"}>{ingest.connected ? words.connected : words.disconnected}</span>
      </header>
      <Facts>
        <Fact name={words.rate}>{n(ingest.messages_per_s)} {t.value.units.perS}</Fact>
        <Fact name={words.behind}>{n(ingest.behind)}</Fact>
        <Fact name={words.lastMessage}><Age ms={ingest.last_message_ms} ago /></Fact>
        <Fact name={words.missed}>{n(ingest.missed_total)} <span class="quiet">{words.missedNote}</span></Fact>
        <Fact name={words.quarantined}><a href="/quarantine">{n(ingest.quarantined_total)}</a></Fact>
      </Facts>
    </section>
  );
}

function Session() {
  const words = t.value.system;
  const session = store.session.value;
  if (!session) return null;
  const leave = async (): Promise<void> => {
    await post("/api/v1/sign-out", {}).catch(() => null);
    signedOut.value = true;
  };
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{words.who}</h2>
        <button type="button" class="plain" onClick={() => void leave()}>{words.signOut}</button>
      </header>
      <Facts>
        <Fact name={words.who}>{session.actor} <span class="quiet">({words.role[session.role]})</span></Fact>
        <Fact name={words.version}>{session.version}</Fact>
        <Fact name={words.catalog}>{store.catalog.value?.version ?? "–"}</Fact>
        <Fact name={words.inventory}>{words.inventoryVersion(String(store.inventoryVersion.value ?? ""))}</Fact>
        <Fact name={words.api}><a href="/api/v1/openapi.json" target="_blank" rel="noreferrer">OpenAPI 3.1</a></Fact>
      </Facts>
      {session.synthetic && <p class="panel-text quiet">{t.value.syntheticLong}</p>}
    </section>
  );
}

type QuarantinePage = Page<QuarantineRow> & { totals: Record<string, number> };

export function Quarantine() {
  const words = t.value.quarantine;
  const reason = query.value.get("reason") ?? "";
  const url = (cursor: string | null): string =>
    address("/api/v1/quarantine", { reason, limit: 50, before_id: cursor });
  const { items, first, more, loading, error, reload } = usePaged<QuarantineRow, QuarantinePage>(url(null), url, 4_000);
  const totals = Object.entries(first?.totals ?? {}).sort(([, a], [, b]) => b - a);
  return (
    <div class="page">
      <header class="page-head">
        <h1>{t.value.system.title}</h1>
        <Tabs />
      </header>
      <div class="filters">
        <Pick
          label={words.reason}
          value={reason}
          choices={[
            { value: "", label: t.value.all },
            ...totals.map(([value, count]) => ({ value, label: `${word(words.words, value)} (${f.value.number(count)})` })),
          ]}
          choose={(value) => { setQuery({ reason: value }); }}
        />
        <p class="quiet filters-note">{words.note}</p>
      </div>
      {!first && (error === null ? <Loading /> : <Failure error={error} retry={reload} />)}
      {first && items.length === 0 && (
        <Empty title={words.empty}>
          <p>{words.emptyHint}</p>
        </Empty>
      )}
      {items.length > 0 && (
        <ul class="log">
          {items.map((item) => (
            <li key={item.id} class="log-item">
              <details>
                <summary>
                  <span class="log-status">
                    <span class="reason">{word(words.words, item.reason)}</span>
                  </span>
                  <span class="log-what">{item.detail}</span>
                  <span class="log-route id">{item.topic}</span>
                  <span class="log-attempts num">{words.size(f.value.number(item.payload_bytes))}</span>
                  <Moment ms={item.received_ms} />
                </summary>
                <div class="log-body">
                  <p>{item.detail}</p>
                  <p>
                    {words.topic}: <span class="id">{item.topic}</span> · {words.reason}: <span class="id">{item.reason}</span>
                  </p>
                  <pre>{item.payload_text}</pre>
                  {item.payload_bytes > 4096 && <p class="quiet">{words.cut}</p>}
                </div>
              </details>
            </li>
          ))}
        </ul>
      )}
      {more && (
        <button type="button" class="more" disabled={loading} onClick={more}>
          {t.value.loadMore}
        </button>
      )}
    </div>
  );
}
