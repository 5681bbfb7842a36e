/** One server-sent stream, kept open: reconnects with backoff, and says when it has gone quiet. */
import type { Change, Snapshot } from "../api/types.ts";

/** The service speaks every second; silence longer than this is a lost stream. */
export const QUIET_MS = 6_000;
const FIRST_BACKOFF_MS = 500;
const LAST_BACKOFF_MS = 15_000;

/** How long to wait before attempt number `attempt` (from 0), with jitter from `random` in [0, 1). */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 10), LAST_BACKOFF_MS);
  return full * (0.5 + random / 2);
}

export interface Listener {
  snapshot: (data: Snapshot) => void;
  /** Returns false when the change cannot be applied and a snapshot is needed. */
  change: (data: Change) => boolean;
  /** No word has come for `QUIET_MS`, or the connection broke. */
  lost: () => void;
  /** Asked before each reconnect: false ends the stream (signed out). */
  goOn: () => Promise<boolean>;
}

/** Open the stream and keep it open until the returned function is called. */
export function openStream(url: string, listener: Listener): () => void {
  let source: EventSource | null = null;
  let attempt = 0;
  let retry: number | undefined;
  let quiet: number | undefined;
  let closed = false;

  const heard = (): void => {
    window.clearTimeout(quiet);
    quiet = window.setTimeout(again, QUIET_MS);
  };

  const connect = (): void => {
    source = new EventSource(url);
    heard();
    source.addEventListener("snapshot", (event: MessageEvent<string>) => {
      attempt = 0;
      heard();
      listener.snapshot(JSON.parse(event.data) as Snapshot);
    });
    source.addEventListener("change", (event: MessageEvent<string>) => {
      heard();
      if (!listener.change(JSON.parse(event.data) as Change)) restart();
    });
    source.addEventListener("restart", restart);
    source.addEventListener("error", again);
  };

  const shut = (): void => {
    window.clearTimeout(quiet);
    window.clearTimeout(retry);
    source?.close();
    source = null;
  };

  /** The service asks to start over: at once, nothing is wrong. */
  const restart = (): void => {
    shut();
    retry = window.setTimeout(connect, 100);
  };

  const again = (): void => {
    shut();
    if (closed) return;
    listener.lost();
    retry = window.setTimeout(() => {
      attempt += 1;
      void listener.goOn().then((goOn) => {
        if (goOn && !closed) connect();
      });
    }, backoff(attempt, Math.random()));
  };

  connect();
  return () => {
    closed = true;
    shut();
  };
}
