/** A long list that comes in pages: the first is loaded again on its own, the rest on demand. */
import { useEffect, useState } from "preact/hooks";
import { get } from "../api/client.ts";
import type { Page } from "../api/types.ts";
import { useLoaded } from "../use.ts";

export interface Paged<T, P extends Page<T>> {
  first: P | null;
  items: T[];
  more: (() => void) | null;
  loading: boolean;
  error: unknown;
  reload: () => void;
}

/** `urlOf` makes the address of a page from the cursor of the one before (null for the first). */
export function usePaged<T, P extends Page<T> = Page<T>>(
  key: string,
  urlOf: (cursor: string | null) => string,
  everyMs = 0,
): Paged<T, P> {
  const first = useLoaded(key, (stop) => get<P>(urlOf(null), stop), everyMs);
  const [rest, setRest] = useState<{ key: string; items: T[]; next: P["next"]; busy: boolean; error: unknown } | null>(
    null,
  );
  useEffect(() => {
    setRest(null);
  }, [key]);
  const current = rest?.key === key ? rest : null;
  const next = current ? current.next : (first.data?.next ?? null);
  const more = (): void => {
    if (next === null || current?.busy) return;
    const before = current ?? { key, items: [], next, busy: false, error: null };
    setRest({ ...before, busy: true, error: null });
    get<P>(urlOf(String(next))).then(
      (page) => {
        setRest({ key, items: [...before.items, ...page.items], next: page.next, busy: false, error: null });
      },
      (error: unknown) => {
        setRest({ ...before, busy: false, error });
      },
    );
  };
  return {
    first: first.data,
    items: [...(first.data?.items ?? []), ...(current?.items ?? [])],
    // While further pages are shown, the first is not taken for newer than they are.
    more: next === null ? null : more,
    loading: first.loading || (current?.busy ?? false),
    error: first.error ?? current?.error ?? null,
    reload: first.reload,
  };
}
