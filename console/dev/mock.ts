/**
 * A stand-in for the service while the console is worked on: `npm run dev`. Everything it says is
 * SYNTHETIC. It is no part of the build (see vite.config.ts); the service's own models are what
 * counts (ioc/web/models.py).
 *
 * IOC_MOCK=calm|some|storm|lost|empty  what happens (default: some)
 * IOC_MOCK_SCALE=2.6                   size of the province (1: 3,900 stations)
 */
import { execFileSync } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin, PreviewServer, ViteDevServer } from "vite";
import type {
  AlarmView,
  AssetRow,
  AssetState,
  Catalog,
  MapDocument,
  Metric,
  Severity,
  Snapshot,
  Transition,
} from "../src/api/types.ts";

interface WorldAsset {
  id: string;
  kind: string;
  name: string;
  province: string;
  commune: string;
  site: string;
  lat: number;
  lon: number;
  operator?: string;
  far_site?: string;
  population?: number;
  length_km?: number;
  simulated?: boolean;
  synthetic?: boolean;
  attributes?: Record<string, string | number | boolean>;
}

interface PlanRow {
  id: string;
  title: { vi: string; en: string };
  unit: string;
  target: number;
  direction: "at_least" | "at_most" | "about";
  source: { name: string; url?: string; date?: string };
  measure?: string;
  reported?: { value: number | null; date: string; source: { name: string; url?: string; date?: string } };
}

interface World {
  map: MapDocument;
  catalog: Catalog;
  assets: Record<string, WorldAsset>;
  plan: PlanRow[];
}

const MODES = ["calm", "some", "storm", "lost", "empty"] as const;
type Mode = (typeof MODES)[number];

/** Small and seeded: the same province happens again on every start. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function loadWorld(scale: number): World {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const python = existsSync(`${root}.venv/bin/python`) ? `${root}.venv/bin/python` : "python3";
  const text = execFileSync(python, [`${root}console/dev/world.py`, String(scale)], {
    encoding: "utf8",
    maxBuffer: 256 * 2 ** 20,
  });
  return JSON.parse(text) as World;
}

class Mock {
  readonly world: World;
  readonly mode: Mode;
  private readonly random = generator(7);
  private readonly began = Date.now();
  private readonly abnormal = new Map<string, AssetState>();
  private readonly roots: AlarmView[] = [];
  private readonly children = new Map<string, AlarmView[]>();
  private readonly cleared: AlarmView[] = [];
  private readonly log = new Map<string, Transition[]>();
  private version = 1;
  private next = 1;

  constructor(world: World, mode: Mode) {
    this.world = world;
    this.mode = mode;
    this.abnormal.set("KH-LAB-01", "not_seen");
    if (mode === "calm" || mode === "empty") {
      if (mode === "calm") this.past(14);
      return;
    }
    this.past(40);
    this.cut("KV-0003", 12);
    this.alarmOf("DC-PR-CRAC-2", 4, ["cooling", "supply"]);
    this.some("bts", 7);
    this.some("span", 2);
    if (mode === "storm") {
      for (const id of this.ids("span").filter((_, index) => index % 300 === 7)) this.cut(id, 3);
      this.some("bts", 160);
      this.some("span", 40);
      this.some("ups", 1);
    }
    this.roots.sort((a, b) => rank(a.severity) - rank(b.severity) || b.raised_ms - a.raised_ms);
  }

  private ids(kind: string): string[] {
    return Object.values(this.world.assets).filter((asset) => asset.kind === kind).map(({ id }) => id);
  }

  private pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  private site(id: string) {
    return this.world.map.sites.find((site) => site.id === id);
  }

  private commune(code: string): string {
    return this.world.map.communes.find((commune) => commune.code === code)?.name ?? code;
  }

  private raise(asset: WorldAsset, rule: Catalog["kinds"][string]["rules"][number] | null, minutes: number): AlarmView {
    const raised = Date.now() - minutes * 60_000 - Math.floor(this.random() * 50_000);
    const site = this.site(asset.site);
    const metric = rule && typeof rule.when["metric"] === "string" ? rule.when["metric"] : "";
    const threshold = rule?.when["above"] ?? rule?.when["below"];
    const value = typeof threshold === "number" ? threshold * (rule?.when["above"] === undefined ? 0.93 : 1.07) : null;
    const unit = this.world.catalog.kinds[asset.kind]?.metrics[metric]?.unit ?? "";
    const fill = (text: string): string =>
      text.replaceAll("{asset}", asset.id).replaceAll("{value}", value === null ? "" : value.toFixed(1)).replaceAll("{unit}", unit).replaceAll("{threshold}", String(threshold));
    const alarm: AlarmView = {
      id: `MOCK${String(this.next++).padStart(6, "0")}`,
      source: rule?.id ?? "device",
      asset: asset.id,
      kind: asset.kind,
      site: asset.site,
      commune: asset.commune,
      severity: rule?.severity ?? "critical",
      event_type: rule?.event_type ?? "communications",
      probable_cause: rule?.probable_cause ?? "lossOfSignal",
      text_vi: rule ? fill(rule.text.vi) : "Loss of signal",
      text_en: rule ? fill(rule.text.en) : "Loss of signal",
      action_vi: rule?.action.vi ?? "",
      action_en: rule?.action.en ?? "",
      object: rule ? "" : "port-1",
      external_id: rule ? "" : "los",
      state: "raised",
      acknowledged: false,
      acknowledged_by: "",
      acknowledged_ms: null,
      raised_ms: raised,
      changed_ms: raised,
      cleared_ms: null,
      value,
      threshold: typeof threshold === "number" ? threshold : null,
      metric,
      parent: "",
      suppressed: false,
      impact: null,
      asset_name: asset.name,
      site_name: site?.name ?? "",
      commune_name: this.commune(asset.commune),
      lat: asset.lat,
      lon: asset.lon,
      suppressed_count: 0,
    };
    this.note(alarm, "raised", "engine", "", raised);
    return alarm;
  }

  private note(alarm: AlarmView, kind: Transition["kind"], actor: string, text: string, atMs = Date.now()): void {
    const log = this.log.get(alarm.id) ?? [];
    log.push({ id: this.next++, at_ms: atMs, kind, actor, text });
    this.log.set(alarm.id, log);
  }

  /** A span is cut: what stands around its far end falls silent under it. */
  private cut(id: string, minutes: number): void {
    const span = this.world.assets[id];
    if (!span) return;
    const root = this.raise(span, null, minutes);
    this.abnormal.set(id, "down");
    const far = this.site(span.far_site ?? "");
    const near = (asset: WorldAsset): number =>
      far ? (asset.lat - far.lat) ** 2 + (asset.lon - far.lon) ** 2 : 1;
    const lost = Object.values(this.world.assets)
      .filter((asset) => asset.id !== id && (asset.kind === "bts" || asset.kind === "span") && near(asset) < 0.004)
      .slice(0, 90);
    const rules = this.world.catalog.kinds;
    const kids = lost.map((asset) => {
      this.abnormal.set(asset.id, "silent");
      const silent = rules[asset.kind]?.rules.find((rule) => "no_data_cadences" in rule.when) ?? null;
      return { ...this.raise(asset, silent, minutes - 0.5), parent: root.id, suppressed: true };
    });
    this.children.set(root.id, kids);
    const stations = lost.filter(({ kind }) => kind === "bts");
    root.suppressed_count = kids.length;
    root.impact = {
      assets: lost.length,
      stations: stations.length,
      population: stations.reduce((sum, { population = 0 }) => sum + population, 0),
    };
    this.roots.push(root);
  }

  private alarmOf(id: string, minutes: number, words: readonly string[] = []): void {
    const asset = this.world.assets[id];
    if (!asset) return;
    const rules = (this.world.catalog.kinds[asset.kind]?.rules ?? []).filter((rule) => !("no_data_cadences" in rule.when));
    if (rules.length === 0) return;
    const rule = rules.find(({ id: name }) => words.some((word) => name.includes(word))) ?? this.pick(rules);
    const alarm = this.raise(asset, rule, minutes);
    if (this.random() < 0.4) {
      alarm.acknowledged = true;
      alarm.acknowledged_by = "lan.nguyen";
      alarm.acknowledged_ms = alarm.raised_ms + 45_000;
      this.note(alarm, "acknowledged", "lan.nguyen", "Đã báo đội trực Ninh Hòa, dự kiến 40 phút.", alarm.acknowledged_ms);
    }
    if (rule.effect !== "none") this.abnormal.set(id, rule.effect);
    this.roots.push(alarm);
  }

  private some(kind: string, count: number): void {
    const ids = this.ids(kind);
    for (let n = 0; n < count && ids.length > 0; n += 1) this.alarmOf(this.pick(ids), 1 + this.random() * 9);
  }

  private past(count: number): void {
    const ids = this.ids("bts");
    for (let n = 0; n < count; n += 1) {
      const asset = this.world.assets[this.pick(ids)];
      const rules = asset ? (this.world.catalog.kinds[asset.kind]?.rules ?? []) : [];
      if (!asset || rules.length === 0) continue;
      const alarm = this.raise(asset, this.pick(rules), 190 + n * 17);
      alarm.state = "cleared";
      alarm.cleared_ms = alarm.raised_ms + 60_000 + Math.floor(this.random() * 3_000_000);
      this.note(alarm, "cleared", "engine", "", alarm.cleared_ms);
      this.cleared.push(alarm);
    }
  }

  private counts(): Snapshot["counts"] {
    const counts: Record<string, Partial<Record<AssetState, number>>> = {};
    for (const asset of Object.values(this.world.assets)) {
      const state = this.abnormal.get(asset.id) ?? "up";
      const of = (counts[asset.kind] ??= {});
      of[state] = (of[state] ?? 0) + 1;
    }
    return counts;
  }

  snapshot(): Snapshot {
    const totals = { critical: 0, major: 0, minor: 0, warning: 0, indeterminate: 0, suppressed: 0, unacknowledged: 0 };
    for (const alarm of this.roots) {
      totals[alarm.severity] += 1;
      if (!alarm.acknowledged) totals.unacknowledged += 1;
    }
    for (const kids of this.children.values()) totals.suppressed += kids.length;
    const now = Date.now();
    const rate = Array.from({ length: 24 }, (_, n) => (this.mode === "empty" ? 0 : [0, 1, 0, 0, 2, 1, 0, 0, 1, 3, 0, 0][n % 12] ?? 0));
    rate[23] = this.roots.length;
    if (this.mode === "storm") rate[22] = 14;
    const people = this.roots.reduce((sum, { impact }) => sum + (impact?.population ?? 0), 0);
    const measure = (name: string, scope: "province" | "site", place: string, value: number) => ({
      name, scope, place, value, time_ms: now - (now % 60_000),
    });
    return {
      version: this.version,
      now_ms: now,
      inventory_version: 1,
      counts: this.counts(),
      abnormal: Object.fromEntries(this.abnormal),
      alarms: {
        active: this.roots.slice(0, 200),
        totals,
        last_cleared_ms: this.cleared.length > 0 ? Math.max(...this.cleared.map((a) => a.cleared_ms ?? 0)) : null,
        per_10_min: rate,
      },
      kpis: [
        measure("pue", "site", "DC-NT", 1.72),
        measure("pue", "site", "DC-PR", 1.81),
        measure("population_without_service", "province", this.world.plan[0]?.id ?? "", people),
      ],
      ingest: {
        messages_per_s: 795 + Math.floor(Math.random() * 12),
        behind: this.mode === "storm" ? 1_240 : 0,
        connected: this.mode !== "lost",
        last_message_ms: this.mode === "empty" ? null : now - 400,
        quarantined_total: this.mode === "calm" || this.mode === "empty" ? 0 : 17,
        missed_total: 3,
      },
      deliveries: { delivered: 12, pending: this.mode === "storm" ? 4 : 0, dead: this.mode === "storm" ? 1 : 0 },
      ready: this.mode !== "lost",
      not_ready: this.mode === "lost" ? ["ingest"] : [],
    };
  }

  stream(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    const send = (event: string, data: unknown): void => {
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    };
    send("snapshot", this.snapshot());
    const timer = setInterval(() => {
      // The stream goes quiet after a while, without an error: the client has to notice.
      if (this.mode === "lost" && Date.now() - this.began > 15_000) return;
      this.version += 1;
      const { version, now_ms, ingest, alarms } = this.snapshot();
      send("change", { version, now_ms, ingest, alarms });
    }, 1_000);
    response.on("close", () => {
      clearInterval(timer);
    });
  }

  private row(asset: WorldAsset): AssetRow {
    const state = this.abnormal.get(asset.id) ?? "up";
    return {
      id: asset.id,
      kind: asset.kind,
      name: asset.name,
      state,
      commune: asset.commune,
      commune_name: this.commune(asset.commune),
      site: asset.site,
      site_name: this.site(asset.site)?.name ?? "",
      operator: asset.operator ?? "",
      last_seen_ms: state === "not_seen" ? null : Date.now() - (state === "silent" ? 720_000 : Math.floor(Math.random() * 10_000)),
    };
  }

  private every(): AlarmView[] {
    return [...this.roots, ...[...this.children.values()].flat(), ...this.cleared];
  }

  private sample(metric: Metric, at: number): number {
    const [low, high] = metric.normal ?? metric.range ?? [0, 1];
    const middle = (low + high) / 2;
    return middle + ((high - low) / 4) * (Math.sin(at / 5_400_000) + Math.sin(at / 700_000) * 0.3 + Math.random() * 0.2);
  }

  answer(method: string, url: URL, body: string): unknown {
    const query = url.searchParams;
    const [, , , first, id, action] = url.pathname.split("/");
    if (url.pathname === "/readyz") return this.readiness();
    switch (first) {
      case "session":
        return {
          actor: "mock", role: "admin", version: "0.1.0+mock", synthetic: true,
          province: { id: "khanh-hoa", name: { vi: "Khánh Hòa", en: "Khánh Hòa" } },
        };
      case "map":
        return this.world.map;
      case "catalog":
        return this.world.catalog;
      case "alarms":
        return id === undefined ? this.alarms(query) : this.alarm(method, id, action, body);
      case "assets":
        return id === undefined ? this.assets(query) : this.asset(decodeURIComponent(id));
      case "kpis":
        return this.kpis();
      case "query":
        return this.query(body);
      case "quarantine":
        return this.quarantine();
      case "deliveries":
        return this.deliveries();
      default:
        return undefined;
    }
  }

  private alarms(query: URLSearchParams): unknown {
    const state = query.get("state") ?? "all";
    const severities = query.getAll("severity");
    const items = this.every()
      .filter((a) => state === "all" || a.state === state)
      .filter((a) => severities.length === 0 || severities.includes(a.severity))
      .filter((a) => query.get("suppressed") === null || String(a.suppressed) === query.get("suppressed"))
      .filter((a) => query.get("asset") === null || a.asset === query.get("asset"))
      .filter((a) => query.get("kind") === null || a.kind === query.get("kind"))
      .sort((a, b) => b.raised_ms - a.raised_ms);
    return { items: items.slice(0, 100), next: null };
  }

  private alarm(method: string, id: string, action: string | undefined, body: string): unknown {
    const alarm = this.every().find((a) => a.id === id);
    if (!alarm) return undefined;
    if (method === "POST" && action !== undefined) {
      const { comment } = JSON.parse(body) as { comment: string };
      if (action !== "comment") {
        alarm.acknowledged = action === "acknowledge";
        alarm.acknowledged_by = alarm.acknowledged ? "mock" : "";
        alarm.acknowledged_ms = alarm.acknowledged ? Date.now() : null;
      }
      alarm.changed_ms = Date.now();
      const kind = action === "comment" ? "commented" : action === "acknowledge" ? "acknowledged" : "unacknowledged";
      this.note(alarm, kind, "mock", comment);
      return alarm;
    }
    const rule = this.world.catalog.kinds[alarm.kind]?.rules.find((r) => r.id === alarm.source) ?? null;
    return { alarm, transitions: this.log.get(id) ?? [], children: this.children.get(id) ?? [], rule };
  }

  private assets(query: URLSearchParams): unknown {
    const rows = Object.values(this.world.assets)
      .filter((a) => query.get("kind") === null || a.kind === query.get("kind"))
      .filter((a) => query.get("commune") === null || a.commune === query.get("commune"))
      .filter((a) => query.get("operator") === null || a.operator === query.get("operator"))
      .filter((a) => query.get("state") === null || (this.abnormal.get(a.id) ?? "up") === query.get("state"))
      .filter((a) => `${a.id} ${a.name}`.toLowerCase().includes((query.get("q") ?? "").toLowerCase()))
      .filter((a) => a.id > (query.get("after") ?? ""))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const items = rows.slice(0, 100).map((asset) => this.row(asset));
    return { items, next: rows.length > 100 ? (items.at(-1)?.id ?? null) : null, total: rows.length };
  }

  private asset(id: string): unknown {
    const asset = this.world.assets[id];
    if (!asset) return undefined;
    const row = this.row(asset);
    const metrics = Object.entries(this.world.catalog.kinds[asset.kind]?.metrics ?? {});
    const values = row.last_seen_ms === null ? {} : Object.fromEntries(
      metrics.map(([name, metric], index) => {
        const age = index === 4 ? 95 : (Date.now() - (row.last_seen_ms ?? 0)) / 1000;
        const value =
          metric.type === "bool" ? name.endsWith("_ok") || name === "up" : metric.type === "enum" ? (metric.values?.[0] ?? "") : this.sample(metric, Date.now());
        return [name, { value, at_ms: Date.now() - age * 1000, age_s: age, stale: age > metric.cadence_s * 3 }];
      }),
    );
    return {
      asset: { attributes: {}, ...asset, commune_name: row.commune_name, site_name: row.site_name, far_site_name: this.site(asset.far_site ?? "")?.name ?? "" },
      state: row.state,
      last_seen_ms: row.last_seen_ms,
      values,
      alarms: this.every().filter((a) => a.asset === id && a.state === "raised"),
      recent_alarms: this.cleared.filter((a) => a.asset === id),
      neighbours: {
        spans: Object.values(this.world.assets).filter((a) => a.kind === "span" && (a.site === asset.site || a.far_site === asset.site)).map((a) => a.id).slice(0, 12),
        stations: Object.values(this.world.assets).filter((a) => a.site === asset.site && a.id !== id && a.kind !== "span").map((a) => a.id),
      },
    };
  }

  private kpis(): unknown {
    const now = Date.now();
    const values: Record<string, number> = {
      bts_total: 3900, bts_5g_share_percent: 62, download_mbit_s: 388, fibre_built_km: 10_625, data_centers_up: 2,
    };
    return {
      province: {},
      sites: {},
      communes: {},
      plan: this.world.plan.map((row) => {
        const value = row.measure === undefined ? (row.reported?.value ?? null) : (values[row.measure] ?? null);
        return {
          id: row.id,
          title: row.title,
          unit: row.unit,
          target: row.target,
          direction: row.direction,
          kind: row.measure === undefined ? "reported" : "measured",
          measure: row.measure ?? null,
          value,
          time_ms: row.measure === undefined ? null : now - 21_000,
          reported_date: row.reported?.date ?? null,
          reported_source: row.reported?.source ?? null,
          source: row.source,
          met: value === null ? null : row.direction === "at_most" ? value <= row.target : value >= row.target * (row.direction === "about" ? 0.95 : 1),
        };
      }),
    };
  }

  private query(body: string): unknown {
    const query = JSON.parse(body) as {
      measurement: string; start_ms: number; stop_ms: number; every_s: number;
      columns: { metric: string; aggregate: string }[];
    };
    const metrics = this.world.catalog.kinds[query.measurement]?.metrics ?? {};
    const rows: (number | null)[][] = [];
    for (let at = query.start_ms; at < Math.min(query.stop_ms, Date.now()); at += query.every_s * 1000) {
      const through = (at - query.start_ms) / (query.stop_ms - query.start_ms);
      if (through > 0.61 && through < 0.68) continue; // nothing was measured here
      const seen = new Map<string, number>();
      rows.push([
        at * 1000,
        ...query.columns.map(({ metric: name, aggregate }) => {
          const metric = metrics[name];
          if (!metric) return null;
          const mean = seen.get(name) ?? this.sample(metric, at);
          seen.set(name, mean);
          const room = ((metric.normal?.[1] ?? 1) - (metric.normal?.[0] ?? 0)) * 0.05;
          return aggregate === "min" ? mean - room : aggregate === "max" ? mean + room : mean;
        }),
      ]);
    }
    return { columns: ["time_us", ...query.columns.map((c) => `${c.aggregate}_${c.metric}`)], rows, truncated: false };
  }

  private quarantine(): unknown {
    if (this.mode === "calm" || this.mode === "empty") return { items: [], next: null, totals: {} };
    const now = Date.now();
    const row = (id: number, reason: string, topic: string, detail: string, payload: string) => ({
      id, reason, topic, detail, received_ms: now - id * 61_000, payload_text: payload, payload_bytes: payload.length,
    });
    return {
      items: [
        row(1, "unknown_asset", "ioc/v1/khanh-hoa/bts/KH-LAB-99/telemetry", "asset 'KH-LAB-99': not in the inventory", '{"ts": 1795344928572, "dc_voltage_v": 53.5}'),
        row(2, "out_of_range", "ioc/v1/khanh-hoa/bts/KH-LAB-01/telemetry", "dc_voltage_v: 535.0, expected 0 to 75", '{"ts": 1795344928572, "dc_voltage_v": 535.0}'),
        row(3, "topic", "ioc/v1/khanh-hoa/bts/KH-LAB-01/telemetri", "expected telemetry or alarm, got 'telemetri'", '{"ts": 1795344928572, "dc_voltage_v": 53.5}'),
        row(4, "not_json", "ioc/v1/khanh-hoa/bts/KH-LAB-01/telemetry", "byte 9: expected a value", '{"ts": , "dc_voltage_v": 53.5}'),
      ],
      next: null,
      totals: { unknown_asset: 9, out_of_range: 5, topic: 2, not_json: 1 },
    };
  }

  private deliveries(): unknown {
    if (this.mode === "calm" || this.mode === "empty") return { items: [], next: null, totals: {} };
    const now = Date.now();
    const item = (n: number, status: string, attempts: number, error: string) => ({
      id: `msg_MOCK${n}`, route: n % 2 ? "operators" : "ministry-report", alarm: this.roots[n % this.roots.length]?.id ?? "",
      group_key: `span/${this.roots[n % this.roots.length]?.asset ?? ""}`, status, firing: n % 3 !== 0, created_ms: now - n * 190_000,
      next_attempt_ms: now + 140_000, attempts, finished_ms: status === "pending" ? null : now - n * 180_000, last_error: error,
      asset: this.roots[n % this.roots.length]?.asset ?? "", text_vi: this.roots[n % this.roots.length]?.text_vi ?? "", text_en: this.roots[n % this.roots.length]?.text_en ?? "",
      log: Array.from({ length: attempts }, (_, index) => ({
        at_ms: now - n * 190_000 + index * 5_000, duration_ms: 38 + index * 7,
        status_code: error !== "" && index + 1 <= attempts ? (status === "delivered" && index + 1 === attempts ? 204 : 503) : 204,
        error: error !== "" && !(status === "delivered" && index + 1 === attempts) ? error : "",
      })),
    });
    return {
      items: [item(1, "delivered", 1, ""), item(2, "pending", 2, "HTTP 503 Service Unavailable"), item(3, "delivered", 2, "HTTP 503"), item(4, "dead", 10, "connection refused"), item(5, "delivered", 1, "")],
      next: null,
      totals: { delivered: 12, pending: 1, dead: 1 },
    };
  }

  private readiness(): unknown {
    const stage = (behind: number, unit = "entries") => ({
      state: "running", ready: true, position: 48_211, behind, unit, lag_s: behind / 800, restarts: 0,
      last_error: "", last_error_ms: null as number | null, note: "", note_vi: "",
    });
    const lost = this.mode === "lost";
    return {
      ready: !lost,
      stages: {
        ingest: { ...stage(0), ready: !lost, last_error: lost ? "BrokerAway: connection refused" : "", last_error_ms: lost ? Date.now() - 42_000 : null },
        store: stage(1), kpi: stage(1), alarms: stage(1), notify: stage(0), web: stage(0, "clients"),
      },
      journal: {
        end: 48_212, first: 12_004, bytes: 218_400_000, bound_bytes: 8_589_934_592, free_disk_bytes: 61_200_000_000,
        reserve_bytes: 1_073_741_824, admits: true, hours_left: 61, quarantined_total: 17,
        positions: { store: 48_211, kpi: 48_211, alarms: 48_211 },
      },
    };
  }
}

function rank(severity: Severity): number {
  return ["critical", "major", "minor", "warning", "indeterminate"].indexOf(severity);
}

async function read(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const part of request) body += String(part);
  return body;
}

function attach(server: Pick<ViteDevServer | PreviewServer, "middlewares" | "config">): void {
  const asked = process.env["IOC_MOCK"] ?? "some";
  const mode = MODES.find((known) => known === asked);
  if (!mode) throw new Error(`IOC_MOCK: ${asked}, expected one of ${MODES.join(", ")}`);
  const state = new Mock(loadWorld(Number(process.env["IOC_MOCK_SCALE"] ?? "1")), mode);
  server.config.logger.warn(`SYNTHETIC data (${mode}): this is the mock server, not the service`);
  server.middlewares.use((request, response, next) => {
    const url = new URL(request.url ?? "/", "http://mock");
    if (!url.pathname.startsWith("/api/") && url.pathname !== "/readyz") {
      next();
      return;
    }
    if (url.pathname === "/api/v1/stream") {
      state.stream(response);
      return;
    }
    void read(request).then((body) => {
      const answer = state.answer(request.method ?? "GET", url, body);
      const problem = { type: "about:blank", title: "Not found", status: 404, detail: "The mock has nothing here." };
      response.writeHead(answer === undefined ? 404 : 200, { "Content-Type": "application/json" });
      response.end(JSON.stringify(answer ?? problem));
    });
  });
}

/** In front of `vite` (sources) and of `vite preview` (what was built), with `--mode mock`. */
export function mock(): Plugin {
  return { name: "ioc-mock", configureServer: attach, configurePreviewServer: attach };
}
