/** What nearly every component needs: texts and formats of the chosen language, loading, ages. */
import { computed } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api/client.ts";
import { formats } from "./format.ts";
import { t } from "./i18n/index.ts";
import { language } from "./preferences.ts";

export const f = computed(() => formats(language.value, t.value));

export interface Loaded<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

/**
 * Load something when `key` changes, and again every `everyMs`. The last answer stays on screen
 * while the next one is on its way, unless the key is new.
 */
export function useLoaded<T>(key: string, load: (stop: AbortSignal) => Promise<T>, everyMs = 0): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: unknown; loading: boolean }>({
    key,
    data: null,
    error: null,
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  const loadRef = useRef(load);
  loadRef.current = load;
  useEffect(() => {
    const stop = new AbortController();
    let timer: number | undefined;
    const once = async (): Promise<void> => {
      try {
        const data = await loadRef.current(stop.signal);
        setState({ key, data, error: null, loading: false });
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((old) => ({ key, data: old.key === key ? old.data : null, error, loading: false }));
      }
      if (everyMs > 0 && !stop.signal.aborted) timer = window.setTimeout(() => void once(), everyMs);
    };
    setState((old) => (old.key === key ? { ...old, loading: true } : { key, data: null, error: null, loading: true }));
    void once();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [key, turn, everyMs]);
  const reload = useCallback(() => {
    setTurn((n) => n + 1);
  }, []);
  const current = state.key === key;
  return {
    data: current ? state.data : null,
    error: current ? state.error : null,
    loading: !current || state.loading,
    reload,
  };
}

/** Why something failed, as a sentence. */
export function why(error: unknown): string {
  if (error instanceof ApiError && error.status !== 0) return error.message;
  return t.value.unreachable;
}
