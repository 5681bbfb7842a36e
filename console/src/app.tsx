/** The frame around every screen: header, counts, banner; and which screen the address names. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signedOut } from "./api/client.ts";
import type { AssetState } from "./api/types.ts";
import { said, t } from "./i18n/index.ts";
import * as store from "./live/store.ts";
import { shortName } from "./map/scene.ts";
import { Failure } from "./parts/common.tsx";
import { SeverityShape } from "./parts/marks.tsx";
import { Switches } from "./parts/switches.tsx";
import { path, route, type Route } from "./router.ts";
import { AssetPage } from "./screens/AssetPage.tsx";
import { Alarms } from "./screens/Alarms.tsx";
import { Assets } from "./screens/Assets.tsx";
import { Deliveries } from "./screens/Deliveries.tsx";
import { Overview } from "./screens/Overview.tsx";
import { Plan } from "./screens/Plan.tsx";
import { Runbook } from "./screens/Runbook.tsx";
import { SignIn } from "./screens/SignIn.tsx";
import { Quarantine, System } from "./screens/System.tsx";
import { f } from "./use.ts";

export function App() {
  useTitle();
  if (signedOut.value) return <SignIn />;
  const lost = store.live.value !== null && !store.connected.value;
  return (
    <>
      <a class="skip" href="#main">{t.value.skip}</a>
      <Lost />
      <Header />
      <Counts />
      <main id="main" class={lost ? "is-lost" : ""} tabIndex={-1}>
        {store.startError.value !== null && store.session.value === null ? (
          <Failure error={store.startError.value} retry={() => void store.start()} />
        ) : (
          <Screen route={route.value} />
        )}
      </main>
    </>
  );
}

function Screen({ route: at }: { route: Route }): ComponentChildren {
  switch (at.screen) {
    case "overview":
      return <Overview />;
    case "alarms":
      return <Alarms id={at.id} past={false} />;
    case "history":
      return <Alarms id={at.id} past={true} />;
    case "assets":
      return <Assets />;
    case "asset":
      return <AssetPage key={at.id} id={at.id} />;
    case "plan":
      return <Plan />;
    case "deliveries":
      return <Deliveries />;
    case "quarantine":
      return <Quarantine />;
    case "system":
      return <System />;
    case "runbook":
      return <Runbook id={at.id} />;
    case "missing":
      return (
        <div class="page">
          <header class="page-head">
            <h1>{t.value.missing}</h1>
            <p>{t.value.missingText}</p>
          </header>
        </div>
      );
  }
}

/** The number of alarms comes first, so that a background tab tells. */
function useTitle(): void {
  const total = store.standing.value ?? 0;
  const province = store.session.value ? said(store.session.value.province.name) : "";
  const name = [province, t.value.appName].filter(Boolean).join(" · ");
  useEffect(() => {
    document.title = total > 0 ? `(${f.value.number(total)}) ${name}` : name;
  }, [total, name]);
}

const SECTIONS: readonly { screen: Route["screen"]; to: string; also?: readonly Route["screen"][] }[] = [
  { screen: "overview", to: "/" },
  { screen: "alarms", to: "/alarms" },
  { screen: "assets", to: "/assets", also: ["asset"] },
  { screen: "plan", to: "/plan" },
  { screen: "history", to: "/history" },
  { screen: "deliveries", to: "/deliveries" },
  { screen: "system", to: "/system", also: ["quarantine", "runbook"] },
];

function Header() {
  const session = store.session.value;
  const screen = route.value.screen;
  const total = store.standing.value ?? 0;
  const words = t.value;
  const worst = store.alarms.value?.active[0]?.severity;
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the sections scroll sideways: the one in force is always in sight.
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path.value]);
  return (
    <header class="header">
      <a class="brand" href="/">
        <strong>{session ? said(session.province.name) : ""}</strong>
        <span>{words.appName}</span>
        {session?.synthetic && <span class="synthetic" title={words.syntheticLong}>{words.synthetic}</span>}
      </a>
      <nav class="nav" aria-label={words.nav.label} ref={nav}>
        {SECTIONS.map(({ screen: name, to, also }) => {
          const key = name as keyof typeof words.nav;
          const here = screen === name || (also?.includes(screen) ?? false);
          return (
            <a key={name} href={to} aria-current={here ? "page" : undefined}>
              {words.nav[key]}
              {name === "alarms" && total > 0 && (
                <span class="nav-count">
                  {worst && <SeverityShape severity={worst} />}
                  {f.value.number(total)}
                </span>
              )}
            </a>
          );
        })}
      </nav>
      <div class="header-end">
        <Switches />
        <Clock />
      </div>
    </header>
  );
}

function Clock() {
  const now = store.nowMs.value;
  const last = store.ingest.value?.last_message_ms ?? null;
  const age = last === null ? null : now - last;
  return (
    <div class="clock">
      <time class="clock-time">{f.value.clock(now)}</time>
      <span class={age !== null && age > 15_000 ? "loud" : "quiet"}>
        {age === null ? t.value.noDataYet : t.value.dataAge(f.value.age(age))}
      </span>
    </div>
  );
}

function Counts() {
  const words = t.value;
  const n = f.value.number;
  const without = store.kpi("population_without_service");
  const pue = store.kpis.value.filter(({ name, scope }) => name === "pue" && scope === "site");
  const siteName = (id: string): string => {
    const name = store.map.value?.sites.find((site) => site.id === id)?.name;
    return name ? shortName(name) : id;
  };
  return (
    <section class="counts" aria-label={words.counts.label}>
      <Domain kind="bts" name={words.counts.bts} down={words.state.down} />
      <Domain kind="span" name={words.counts.span} down={words.counts.cut} />
      {pue.length > 0 && (
        <div class="count" title={words.counts.pueNote}>
          <span class="count-name">{words.counts.pue}</span>
          {pue.map(({ place, value, time_ms }) => (
            <a class={`count-item ${store.nowMs.value - time_ms > 180_000 ? "quiet" : ""}`} key={place} href={centerLink(place)}>
              <span class="center-mark" aria-hidden="true" /> {siteName(place)} <b>{n(value, 2)}</b>
              <CenterState site={place} />
            </a>
          ))}
        </div>
      )}
      {without && (
        <span class={`count ${without.value > 0 ? "" : "quiet"}`}>
          <span class="count-item">
            <b class={without.value > 0 ? "bad" : ""}>{n(without.value)}</b> {words.counts.without}
          </span>
        </span>
      )}
    </section>
  );
}

function centerLink(site: string): string {
  const map = store.map.value;
  const index = map?.sites.findIndex(({ id }) => id === site) ?? -1;
  const found = map?.assets.find(([, kind, at]) => at === index && kind === "dc_site");
  return found ? `/assets/${encodeURIComponent(found[0])}` : `/assets?q=${encodeURIComponent(site)}`;
}

/** The worst alarm on a data-centre site, if any. */
function CenterState({ site }: { site: string }) {
  const here = store.alarms.value?.active.filter((alarm) => alarm.site === site && alarm.kind !== "bts" && alarm.kind !== "span") ?? [];
  const worst = here[0];
  if (!worst) return null;
  return (
    <span class="bad-state">
      {" "}
      <SeverityShape severity={worst.severity} />
      <b>{f.value.number(here.length)}</b>
    </span>
  );
}

/** What is not yet seen is no fault: the list of assets has it. */
const COUNTED: readonly AssetState[] = ["degraded", "down", "silent"];

function Domain({ kind, name, down }: { kind: string; name: string; down: string }) {
  const counts = store.counts.value[kind];
  const words = t.value;
  const n = f.value.number;
  return (
    <div class="count">
      <a class="count-name" href={`/assets?kind=${kind}`}>{name}</a>
      {counts === undefined ? (
        <span class="quiet">–</span>
      ) : (
        <>
          <a class="count-item" href={`/assets?kind=${kind}&state=up`}>
            <b>{n(counts.up ?? 0)}</b> {words.state.up}
          </a>
          {COUNTED.map((state) => {
            const value = counts[state] ?? 0;
            // A quiet domain says so with one zero; a long row of them would only be noise.
            if (value === 0 && (state !== "down" || (counts.silent ?? 0) > 0)) return null;
            return (
              <a
                class={`count-item ${value > 0 ? `bad-state ${state}` : "quiet"}`}
                key={state}
                href={`/assets?kind=${kind}&state=${state}`}
              >
                {value > 0 && state === "down" && <SeverityShape severity="critical" />}
                {value > 0 && state === "degraded" && <SeverityShape severity="major" />}
                {value > 0 && state === "silent" && <span class="hatch-mark" aria-hidden="true" />}
                <b>{n(value)}</b> {state === "down" ? down : words.state[state]}
              </a>
            );
          })}
        </>
      )}
    </div>
  );
}

function Lost() {
  const words = t.value.lost;
  if (store.connected.value || store.startError.value !== null) return null;
  const last = store.lastWordMs.value;
  if (last === null) return null;
  return (
    <div class="lost" role="alert">
      <strong>{words.title}</strong>
      <span>{words.since(f.value.moment(last, store.nowMs.value), f.value.age(store.nowMs.value - last))}</span>
    </div>
  );
}
