/** The address holds the whole state of the screen: path, filters, selected alarm, map view. */
import { computed, signal } from "@preact/signals";

export type Route =
  | { screen: "overview" }
  | { screen: "alarms"; id: string | null }
  | { screen: "assets" }
  | { screen: "asset"; id: string }
  | { screen: "plan" }
  | { screen: "history"; id: string | null }
  | { screen: "deliveries" }
  | { screen: "quarantine" }
  | { screen: "system" }
  | { screen: "runbook"; id: string | null }
  | { screen: "missing" };

/** The screen that a path names. */
export function parse(path: string): Route {
  const [first = "", second, ...rest] = path.split("/").filter(Boolean).map(decode);
  if (rest.length > 0) return { screen: "missing" };
  const id = second ?? null;
  switch (first) {
    case "alarms":
    case "history":
      return { screen: first, id };
    case "assets":
      return id === null ? { screen: "assets" } : { screen: "asset", id };
    case "runbooks":
      return { screen: "runbook", id };
    case "":
      return { screen: "overview" };
    case "plan":
    case "deliveries":
    case "quarantine":
    case "system":
      return id === null ? { screen: first } : { screen: "missing" };
    default:
      return { screen: "missing" };
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A path with some query parameters changed; null and "" take one away. The order is kept. */
export function withQuery(
  path: string,
  search: string,
  changes: Readonly<Record<string, string | null>>,
): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  // Commas read better than %2C, and are allowed in a query.
  const text = query.toString().replaceAll("%2C", ",");
  return text === "" ? path : `${path}?${text}`;
}

const inBrowser = typeof window !== "undefined";
const here = signal(inBrowser ? window.location.pathname + window.location.search : "/");

export const path = computed(() => here.value.split("?")[0] ?? "/");
export const search = computed(() => here.value.slice(path.value.length));
export const route = computed(() => parse(path.value));
export const query = computed(() => new URLSearchParams(search.value));

/** Go to an address of the console. `replace` leaves no step for Back. */
export function navigate(to: string, { replace = false }: { replace?: boolean } = {}): void {
  if (to === here.value) return;
  const samePath = (to.split("?")[0] ?? "") === path.value;
  if (replace) window.history.replaceState(null, "", to);
  else window.history.pushState(null, "", to);
  here.value = to;
  if (!samePath) window.scrollTo(0, 0);
}

/** Change filters in the address. Typing replaces; a choice makes a step for Back. */
export function setQuery(
  changes: Readonly<Record<string, string | null>>,
  options: { replace?: boolean } = {},
): void {
  navigate(withQuery(path.value, search.value, changes), options);
}

/** Follow plain clicks on the console's own links without loading a page. */
export function listen(): void {
  window.addEventListener("popstate", () => {
    here.value = window.location.pathname + window.location.search;
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link?.target !== "" || link.origin !== window.location.origin) return;
    if (link.hash !== "" && link.pathname === window.location.pathname) return;
    if (/^\/(api|metrics|healthz|readyz|sign-in)(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}

export const alarmLink = (id: string): string => `/alarms/${encodeURIComponent(id)}`;
export const assetLink = (id: string): string => `/assets/${encodeURIComponent(id)}`;
export const runbookLink = (rule: string): string => `/runbooks/${encodeURIComponent(rule)}`;
