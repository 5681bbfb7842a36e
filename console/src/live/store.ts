/** What is true now, as signals: a screen that reads one is drawn again when it changes. */
import { batch, computed, signal } from "@preact/signals";
import { get, signedOut } from "../api/client.ts";
import type { AlarmView, AssetState, Catalog, MapDocument, Session, Snapshot } from "../api/types.ts";
import { begin, reduce, type LiveState } from "./reduce.ts";
import { openStream } from "./stream.ts";

export const session = signal<Session | null>(null);
export const catalog = signal<Catalog | null>(null);
export const map = signal<MapDocument | null>(null);
export const startError = signal<unknown>(null);

export const live = signal<LiveState | null>(null);
/** The stream is open and speaks. */
export const connected = signal(false);
/** When the service spoke last, in its own clock. */
export const lastWordMs = signal<number | null>(null);

/** The service's clock less ours: ages are judged by the service's clock, wherever we are. */
let offsetMs = 0;
export const nowMs = signal(Date.now());

export const counts = computed(() => live.value?.counts ?? {});
export const abnormal = computed<ReadonlyMap<string, AssetState>>(() => live.value?.abnormal ?? new Map());
export const alarms = computed(() => live.value?.alarms ?? null);
export const ingest = computed(() => live.value?.ingest ?? null);
export const deliveries = computed(() => live.value?.deliveries ?? null);
export const kpis = computed(() => live.value?.kpis ?? []);
export const inventoryVersion = computed(() => live.value?.inventory_version ?? null);

/** The worst alarm in force of an asset that is not suppressed. */
export const alarmOf = computed(() => {
  const worst = new Map<string, AlarmView>();
  for (const alarm of alarms.value?.active ?? []) {
    if (!worst.has(alarm.asset)) worst.set(alarm.asset, alarm);
  }
  return worst;
});

/** How many alarms wait for a person. */
export const standing = computed(() => {
  const totals = alarms.value?.totals;
  if (!totals) return null;
  return totals.critical + totals.major + totals.minor + totals.warning + totals.indeterminate;
});

export function stateOf(asset: string): AssetState {
  return abnormal.value.get(asset) ?? "up";
}

export function kpi(name: string, place?: string) {
  return kpis.value.find((item) => item.name === name && (place === undefined || item.place === place));
}

function heard(serverMs: number): void {
  offsetMs = serverMs - Date.now();
  connected.value = true;
  lastWordMs.value = serverMs;
  nowMs.value = serverMs;
}

function loadMap(): void {
  get<MapDocument>("/api/v1/map").then(
    (document) => {
      map.value = document;
    },
    (error: unknown) => {
      if (!map.value) startError.value = error;
    },
  );
}

/** Replace an alarm by what the service answered, before the stream says the same. */
export function patchAlarm(alarm: AlarmView): void {
  const state = live.value;
  if (!state) return;
  const active = state.alarms.active.map((item) => (item.id === alarm.id ? { ...item, ...alarm } : item));
  live.value = { ...state, alarms: { ...state.alarms, active } };
}

let close: (() => void) | null = null;

/** Load what the screens need and open the stream. Again after sign-in. */
export async function start(): Promise<void> {
  close?.();
  startError.value = null;
  try {
    session.value = await get<Session>("/api/v1/session");
  } catch (error) {
    startError.value = error;
    if (!signedOut.value) window.setTimeout(() => void start(), 3_000);
    return;
  }
  signedOut.value = false;
  loadMap();
  get<Catalog>("/api/v1/catalog").then(
    (document) => {
      catalog.value = document;
    },
    (error: unknown) => {
      startError.value = error;
    },
  );
  close = openStream("/api/v1/stream", {
    snapshot: (data: Snapshot) => {
      batch(() => {
        if (map.value && map.value.inventory_version !== data.inventory_version) loadMap();
        live.value = begin(data);
        heard(data.now_ms);
      });
    },
    change: (data) => {
      const state = live.value;
      const next = state && reduce(state, data);
      if (!next) return false;
      batch(() => {
        if (next.inventory_version !== state.inventory_version) loadMap();
        live.value = next;
        heard(data.now_ms);
      });
      return true;
    },
    lost: () => {
      connected.value = false;
    },
    goOn: async () => {
      try {
        await get<Session>("/api/v1/session");
      } catch {
        return !signedOut.value;
      }
      return true;
    },
  });
}

/** Ages grow once a second, also while the service is silent. */
export function tick(): void {
  window.setInterval(() => {
    nowMs.value = Date.now() + offsetMs;
  }, 1_000);
}
