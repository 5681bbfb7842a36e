/** The map with its controls, legend, tooltip and the markers of alarms. */
import { effect, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { AlarmView, MapDocument, Severity } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { alarmText } from "../parts/alarm-row.tsx";
import { SeverityShape, StateMark } from "../parts/marks.tsx";
import { theme } from "../preferences.ts";
import { alarmLink, assetLink, navigate, query, setQuery } from "../router.ts";
import { f } from "../use.ts";
import { MapController, type Hit, type Marker } from "./controller.ts";
import { parseView, project, type Point } from "./geometry.ts";
import { buildScene, type Scene } from "./scene.ts";

/** So many alarms get a marker that can be reached by keyboard; the list has them all. */
const MARKERS = 40;
const LABELLED = 6;

/** Where pins overlap, the worst is seen; by keyboard it comes first all the same. */
const ON_TOP: Readonly<Record<Severity, number>> = { critical: 5, major: 4, minor: 3, warning: 2, indeterminate: 1 };

interface Pin {
  key: string;
  alarm: AlarmView;
  count: number;
  at: Point;
  inset: boolean;
  label: string;
}

/** One pin per place, with its worst alarm. What is not on the map (the service itself) has none. */
function pins(active: readonly AlarmView[], scene: Scene, sites: MapDocument["sites"]): Pin[] {
  const places = new Set(sites.map(({ id }) => id));
  const middles = new Map<string, Point>();
  for (const { id, a, b } of scene.main.spans) middles.set(id, { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const found = new Map<string, Pin>();
  for (const alarm of active) {
    const middle = middles.get(alarm.asset);
    if (!middle && !places.has(alarm.site)) continue;
    const key = middle ? alarm.asset : alarm.site;
    const known = found.get(key);
    if (known) {
      known.count += 1;
      continue;
    }
    if (found.size >= MARKERS) continue;
    const at = middle ?? (alarm.lat !== null && alarm.lon !== null ? project(alarm.lon, alarm.lat) : null);
    if (!at) continue;
    const inset =
      !middle && alarm.lat !== null && alarm.lon !== null && scene.far(alarm.lon, alarm.lat);
    const severe = alarm.severity === "critical" || alarm.severity === "major";
    // A data centre has its own label; a second one would only crowd it.
    const named = scene.main.centers.some((center) => center.site === alarm.site);
    found.set(key, {
      key,
      alarm,
      count: 1,
      at,
      inset,
      label: severe && !named && found.size < LABELLED ? alarm.asset : "",
    });
  }
  return [...found.values()];
}

function Tip({ hit, width }: { hit: Hit; width: number }) {
  const tip = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = tip.current;
    if (!element) return;
    const left = Math.min(Math.max(8, hit.at.x + 14), Math.max(8, width - element.offsetWidth - 8));
    const above = hit.at.y - element.offsetHeight - 12;
    element.style.transform = `translate(${left.toFixed(0)}px, ${(above > 4 ? above : hit.at.y + 16).toFixed(0)}px)`;
  }, [hit, width]);
  const { map, catalog } = store;
  const rows = hit.ids.slice(0, hit.kind === "center" ? 0 : 3);
  const bad = hit.ids.filter((id) => store.stateOf(id) !== "up");
  const site = map.value?.sites[map.value.assets.find(([id]) => id === hit.ids[0])?.[2] ?? -1];
  const kind = hit.kind === "span" ? "span" : "bts";
  const title = catalog.value?.kinds[kind]?.title;
  return (
    <div class="map-tip" ref={tip} role="tooltip">
      {hit.kind === "center" ? (
        <>
          <strong>{hit.name}</strong>
          <span class="quiet">
            {bad.length === 0
              ? `${f.value.number(hit.ids.length)} · ${t.value.state.up}`
              : `${f.value.number(bad.length)} / ${f.value.number(hit.ids.length)} · ${t.value.map.abnormal}`}
          </span>
        </>
      ) : (
        <>
          <span class="quiet">
            {hit.kind === "station" && site ? site.name : title ? said(title) : ""}
            {hit.ids.length > 1 && ` · ${t.value.map.stationsHere(f.value.number(hit.ids.length))}`}
          </span>
          {rows.map((id) => {
            const alarm = store.alarmOf.value.get(id);
            return (
              <div class="map-tip-row" key={id}>
                <a href={assetLink(id)} class="id">
                  {id}
                </a>
                <StateMark state={store.stateOf(id)} />
                {alarm && <span class="map-tip-alarm">{alarmText(alarm)}</span>}
              </div>
            );
          })}
        </>
      )}
    </div>
  );
}

export function ProvinceMap({ showView = true }: { showView?: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const points = useRef<HTMLCanvasElement>(null);
  const labels = useRef<HTMLCanvasElement>(null);
  const scale = useRef<HTMLDivElement>(null);
  const controller = useRef<MapController | null>(null);
  const elements = useRef(new Map<string, HTMLElement>());
  const hover = useSignal<Hit | null>(null);
  const drawn = useSignal<boolean | null>(null);
  const scene = useComputed(() => (store.map.value ? buildScene(store.map.value) : null));
  const shown = useComputed(() =>
    scene.value ? pins(store.alarms.value?.active ?? [], scene.value, store.map.value?.sites ?? []) : [],
  );

  useEffect(() => {
    const parts = { host: host.current, base: base.current, points: points.current, labels: labels.current, scale: scale.current };
    if (!parts.host || !parts.base || !parts.points || !parts.labels || !parts.scale) return undefined;
    const map = new MapController(parts as ConstructorParameters<typeof MapController>[0], {
      view: (text) => {
        if (showView) setQuery({ map: text }, { replace: true });
      },
      hover: (hit) => {
        if (hover.peek() !== hit) hover.value = hit;
      },
      open: (hit, touch) => {
        // A finger cannot hover: the first tap says what it is, the link in it opens it.
        if (touch) hover.value = hit;
        else if (hit.kind === "center") {
          const bad = hit.ids.find((id) => store.stateOf(id) !== "up");
          navigate(assetLink(bad ?? hit.ids[0] ?? ""));
        } else if (hit.ids[0] !== undefined) navigate(assetLink(hit.ids[0]));
      },
      ready: (ok) => {
        if (drawn.peek() !== ok) drawn.value = ok;
      },
    });
    controller.current = map;
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const retheme = (): void => {
      map.setTheme();
    };
    dark.addEventListener("change", retheme);
    const stops = [
      // Drawn anew once the attribute is on the document.
      theme.subscribe(() => {
        queueMicrotask(retheme);
      }),
      effect(() => {
        if (scene.value) map.setScene(scene.value);
      }),
      effect(() => {
        map.setState(store.abnormal.value, store.alarmOf.value);
      }),
      effect(() => {
        map.setWords({ inset: t.value.map.inset, sea: t.value.map.sea });
      }),
      effect(() => {
        if (showView) map.setView(parseView(query.value.get("map")));
      }),
    ];
    return () => {
      dark.removeEventListener("change", retheme);
      for (const stop of stops) stop();
      map.dispose();
      controller.current = null;
    };
  }, []);

  const list = shown.value;
  useEffect(() => {
    const markers: Marker[] = [];
    for (const { key, at, inset, label } of list) {
      const element = elements.current.get(key);
      if (element) markers.push({ id: key, element, at, inset, label });
    }
    controller.current?.setMarkers(markers);
  }, [list]);

  const keys = (event: KeyboardEvent): void => {
    const map = controller.current;
    if (!map || event.target !== host.current) return;
    const step = 60;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => { map.pan(-step, 0); },
      ArrowRight: () => { map.pan(step, 0); },
      ArrowUp: () => { map.pan(0, -step); },
      ArrowDown: () => { map.pan(0, step); },
      "+": () => { map.zoom(1.5); },
      "=": () => { map.zoom(1.5); },
      "-": () => { map.zoom(1 / 1.5); },
      "0": () => { map.showAll(); },
      Escape: () => { hover.value = null; },
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  const words = t.value.map;
  const stations = useMemo(() => store.map.value?.assets.filter(([, kind]) => kind === "bts").length ?? 0, [store.map.value]);
  const abnormalCount = useComputed(() => {
    let n = 0;
    for (const state of store.abnormal.value.values()) if (state !== "not_seen") n += 1;
    return n;
  });
  const n = f.value.number;
  return (
    <section class="map" aria-label={words.label}>
      <div
        class="map-host"
        ref={host}
        tabIndex={0}
        role="group"
        aria-roledescription={words.label}
        aria-label={`${words.describe(n(stations), n(store.map.value?.spans.length ?? 0), n(abnormalCount.value))} ${words.keys}`}
        onKeyDown={keys}
      >
        <canvas class="map-layer" ref={base} aria-hidden="true" />
        <canvas class="map-layer" ref={points} aria-hidden="true" />
        <canvas class="map-layer map-front" ref={labels} aria-hidden="true" />
        {list.map(({ key, alarm, count }) => (
          <a
            key={key}
            style={{ zIndex: ON_TOP[alarm.severity] }}
            class={`map-pin ${alarm.acknowledged ? "" : "unacknowledged"}`}
            href={alarmLink(alarm.id)}
            aria-label={`${t.value.severity[alarm.severity]}: ${alarmText(alarm)}, ${alarm.asset_name || alarm.asset}`}
            ref={(element) => {
              if (element) elements.current.set(key, element);
              else elements.current.delete(key);
            }}
          >
            <span class={`map-pulse ${alarm.severity}`} aria-hidden="true" />
            <SeverityShape severity={alarm.severity} />
            {count > 1 && <span class="map-pin-count">{n(count)}</span>}
          </a>
        ))}
        {hover.value && <Tip hit={hover.value} width={host.current?.clientWidth ?? 0} />}
        {drawn.value === null && <p class="map-note">{words.loading}</p>}
        {drawn.value === false && <p class="map-note">{words.noGraphics}</p>}
      </div>
      <div class="map-controls">
        <button type="button" aria-label={words.zoomIn} title={words.zoomIn} onClick={() => controller.current?.zoom(1.6)}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 3v10M3 8h10" /></svg>
        </button>
        <button type="button" aria-label={words.zoomOut} title={words.zoomOut} onClick={() => controller.current?.zoom(1 / 1.6)}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8h10" /></svg>
        </button>
        <button type="button" aria-label={words.whole} title={words.whole} onClick={() => controller.current?.showAll()}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" /></svg>
        </button>
      </div>
      <div class="map-foot">
        <ul class="map-legend">
          <li><SeverityShape severity="critical" />{words.down}</li>
          <li><span class="hatch-mark" aria-hidden="true" />{words.silent}</li>
          <li><SeverityShape severity="major" />{words.degraded}</li>
          <li><span class="station-mark" aria-hidden="true" />{words.station}</li>
          <li><span class="center-mark" aria-hidden="true" />{words.dataCenter}</li>
        </ul>
        <p class="map-credit">
          <span class="map-scale" ref={scale} aria-hidden="true" />
          {words.schematic} · {words.coast}
        </p>
      </div>
    </section>
  );
}
