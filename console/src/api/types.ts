/** What the service says over HTTP. Names and units are the API's own; times are Unix ms. */

export type Severity = "critical" | "major" | "minor" | "warning" | "indeterminate";
export type AssetState = "up" | "degraded" | "down" | "silent" | "not_seen";
export const SEVERITIES: readonly Severity[] = ["critical", "major", "minor", "warning", "indeterminate"];
export const STATES: readonly AssetState[] = ["down", "silent", "degraded", "not_seen", "up"];

export interface Text {
  vi: string;
  en: string;
}

export interface Session {
  actor: string;
  role: "reporter" | "viewer" | "operator" | "engineer" | "admin";
  province: { id: string; name: Text };
  version: string;
  /** True while the province does not exist: its equipment is simulated. */
  synthetic: boolean;
}

export interface Metric {
  title: Text;
  unit: string;
  type: "float" | "int" | "bool" | "enum";
  range: [number, number] | null;
  normal: [number, number] | null;
  values?: string[] | null;
  cadence_s: number;
  decimals: number;
  standard: string | null;
  source: string;
  show: boolean;
}

export interface Rule {
  id: string;
  severity: Severity;
  event_type?: string;
  probable_cause: string;
  effect: "down" | "degraded" | "none";
  text: Text;
  action: Text;
  source: string;
  for_s?: number;
  clear_for_s?: number;
  when: Record<string, unknown>;
}

export interface Kind {
  domain: string;
  title: Text;
  /** The service itself: nobody else sends for it, and it is not on the map. */
  own?: boolean;
  metrics: Record<string, Metric>;
  rules: Rule[];
}

export interface Catalog {
  version: string;
  domains: Record<string, { title: Text; kinds: string[] }>;
  kinds: Record<string, Kind>;
}

export interface Commune {
  code: string;
  name: string;
  lat: number;
  lon: number;
  population: number;
}

export interface MapSite {
  id: string;
  name: string;
  commune: string;
  lat: number;
  lon: number;
  core: boolean;
  data_center: boolean;
}

export interface MapDocument {
  inventory_version: number;
  /** West, south, east, north. */
  bbox: [number, number, number, number];
  communes: Commune[];
  sites: MapSite[];
  /** Id, kind, index of the site, operator. */
  assets: [string, string, number, string][];
  /** Id, index of the A end's site, index of the B end's. */
  spans: [string, number, number][];
}

export interface Impact {
  assets: number;
  stations: number;
  population: number;
}

export interface AlarmView {
  id: string;
  source: string;
  asset: string;
  kind: string;
  site: string;
  commune: string;
  severity: Severity;
  event_type: string;
  probable_cause: string;
  text_vi: string;
  text_en: string;
  action_vi: string;
  action_en: string;
  object: string;
  external_id: string;
  state: "raised" | "cleared";
  acknowledged: boolean;
  acknowledged_by: string;
  acknowledged_ms: number | null;
  raised_ms: number;
  changed_ms: number;
  cleared_ms: number | null;
  value: number | null;
  threshold: number | null;
  metric: string;
  parent: string;
  suppressed: boolean;
  impact: Impact | null;
  asset_name: string;
  site_name: string;
  commune_name: string;
  lat: number | null;
  lon: number | null;
  /** How many alarms this one explains. */
  suppressed_count: number;
}

export interface AlarmTotals {
  critical: number;
  major: number;
  minor: number;
  warning: number;
  indeterminate: number;
  suppressed: number;
  unacknowledged: number;
}

export interface AlarmBlock {
  /** Not suppressed, the worst first, at most 200. */
  active: AlarmView[];
  totals: AlarmTotals;
  last_cleared_ms: number | null;
  /** Alarms raised (and not suppressed) in each of the last 24 ten minutes, the oldest first. */
  per_10_min: number[];
}

export interface KpiValue {
  name: string;
  scope: "province" | "commune" | "site";
  place: string;
  value: number;
  time_ms: number;
}

export interface IngestBlock {
  messages_per_s: number;
  behind: number;
  connected: boolean;
  last_message_ms: number | null;
  quarantined_total: number;
  missed_total: number;
}

export interface DeliveriesBlock {
  delivered: number;
  pending: number;
  dead: number;
}

export interface Snapshot {
  version: number;
  now_ms: number;
  inventory_version: number;
  counts: Record<string, Partial<Record<AssetState, number>>>;
  /** Every asset that is not up. */
  abnormal: Record<string, AssetState>;
  alarms: AlarmBlock;
  kpis: KpiValue[];
  ingest: IngestBlock;
  deliveries: DeliveriesBlock;
  ready: boolean;
  not_ready: string[];
}

/** Only what changed; `abnormal` holds the changed assets alone, "up" when normal again. */
export type Change = Pick<Snapshot, "version" | "now_ms"> & Partial<Snapshot>;

export interface Page<T> {
  items: T[];
  next: string | number | null;
}

export type TransitionKind =
  | "raised"
  | "changed"
  | "cleared"
  | "acknowledged"
  | "unacknowledged"
  | "commented"
  | "suppressed"
  | "unsuppressed";

export interface Transition {
  id: number;
  at_ms: number;
  kind: TransitionKind;
  actor: string;
  text: string;
}

export interface AlarmDetail {
  alarm: AlarmView;
  transitions: Transition[];
  children: AlarmView[];
  rule: Rule | null;
}

export interface AssetRow {
  id: string;
  kind: string;
  name: string;
  state: AssetState;
  commune: string;
  commune_name: string;
  site: string;
  site_name: string;
  operator: string;
  last_seen_ms: number | null;
}

export interface AssetPageDocument {
  asset: {
    id: string;
    kind: string;
    name: string;
    province: string;
    commune: string;
    commune_name: string;
    site: string;
    site_name: string;
    far_site?: string;
    far_site_name?: string;
    operator?: string;
    lat: number;
    lon: number;
    population?: number;
    length_km?: number;
    simulated?: boolean;
    synthetic?: boolean;
    attributes?: Record<string, string | number | boolean>;
  };
  state: AssetState;
  last_seen_ms: number | null;
  values: Record<string, { value: number | boolean | string; at_ms: number; age_s: number; stale: boolean }>;
  alarms: AlarmView[];
  recent_alarms: AlarmView[];
  neighbours: { spans: string[]; stations: string[] };
}

export interface PlanItem {
  id: string;
  title: Text;
  unit: string;
  target: number;
  direction: "at_least" | "at_most" | "about";
  kind: "measured" | "reported";
  value: number | null;
  /** When a measured value was worked out. */
  time_ms?: number | null;
  /** The day a reported value is of, as its source gives it. */
  reported_date?: string | null;
  reported_source?: { name: string; url?: string | null; date?: string | null } | null;
  source: { name: string; url?: string | null; date?: string | null };
  met: boolean | null;
}

export interface Kpis {
  province: Record<string, { value: number; time_ms: number }>;
  sites: Record<string, Record<string, { value: number; time_ms: number }>>;
  communes: Record<string, Record<string, { value: number; time_ms: number }>>;
  plan: PlanItem[];
}

export interface QuarantineRow {
  id: number;
  received_ms: number;
  topic: string;
  reason: string;
  detail: string;
  payload_text: string;
  payload_bytes: number;
}

export interface DeliveryRow {
  id: string;
  route: string;
  alarm: string;
  group_key: string;
  status: string;
  firing: boolean;
  created_ms: number;
  next_attempt_ms: number | null;
  attempts: number;
  finished_ms: number | null;
  last_error: string;
  asset: string;
  text_vi: string;
  text_en: string;
  log: { at_ms: number; duration_ms: number; status_code: number | null; error: string }[];
}

export interface StageStatus {
  name?: string;
  state: "starting" | "running" | "failed" | "stopped";
  ready: boolean;
  position: number;
  behind: number;
  unit: string;
  lag_s: number;
  restarts: number;
  last_error: string;
  last_error_ms: number | null;
  note: string;
  note_vi: string;
}

export interface JournalStatus {
  end: number;
  first: number;
  bytes: number;
  bound_bytes: number;
  free_disk_bytes: number;
  reserve_bytes: number;
  admits: boolean;
  hours_left?: number | null;
  quarantined_total: number;
  positions: Record<string, number>;
}

export interface Readiness {
  ready: boolean;
  stages: Record<string, StageStatus>;
  journal: JournalStatus | null;
}

export interface Query {
  measurement: string;
  columns: { metric: string; aggregate?: "mean" | "min" | "max" | "sum" | "count" | "first" | "last" }[];
  start_ms: number;
  stop_ms: number;
  where?: Record<string, string[]>;
  group_by?: string[];
  every_s?: number;
  newest_first?: boolean;
  limit?: number;
}

export interface Answer {
  columns: string[];
  rows: (string | number | boolean | null)[][];
  truncated: boolean;
}
