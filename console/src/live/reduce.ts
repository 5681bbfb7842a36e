/** The province as the stream tells it: a snapshot, then changes. Pure, so that it can be tested. */
import type { AssetState, Change, Snapshot } from "../api/types.ts";

export type LiveState = Omit<Snapshot, "abnormal"> & {
  /** State of every asset that is not up. */
  abnormal: ReadonlyMap<string, AssetState>;
};

export function begin(snapshot: Snapshot): LiveState {
  return { ...snapshot, abnormal: new Map(Object.entries(snapshot.abnormal)) };
}

/**
 * The state after a change; null when the change cannot follow (its version went back: the service
 * started over), so that the client must ask for a snapshot again.
 */
export function reduce(state: LiveState, change: Change): LiveState | null {
  if (change.version < state.version) return null;
  const { abnormal: changed, ...rest } = change;
  let abnormal = state.abnormal;
  if (changed && Object.keys(changed).length > 0) {
    const next = new Map(state.abnormal);
    for (const [asset, value] of Object.entries(changed)) {
      if (value === "up") next.delete(asset);
      else next.set(asset, value);
    }
    abnormal = next;
  }
  return { ...state, ...rest, abnormal };
}
