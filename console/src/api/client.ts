/** The service's HTTP API. Every failure is an `ApiError` that a person can read. */
import { signal } from "@preact/signals";

/** True once any call was answered with 401: the sign-in screen takes over. */
export const signedOut = signal(false);

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** What RFC 9457 puts into a failed answer, as far as we show it. */
interface Problem {
  title?: unknown;
  detail?: unknown;
}

function sentence(problem: Problem, fallback: string): string {
  if (typeof problem.detail === "string" && problem.detail !== "") return problem.detail;
  if (typeof problem.title === "string" && problem.title !== "") return problem.title;
  return fallback;
}

async function call(method: "GET" | "POST", path: string, body: unknown, accept: readonly number[], stop?: AbortSignal) {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(stop ? { signal: stop } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "");
  }
  if (!response.ok && !accept.includes(response.status)) {
    if (response.status === 401) signedOut.value = true;
    const problem = (await response.json().catch(() => ({}))) as Problem;
    throw new ApiError(response.status, sentence(problem, `HTTP ${response.status}`));
  }
  return response;
}

/** GET `path`. `accept` names further status codes whose body is an answer (503 of /readyz). */
export async function get<T>(path: string, stop?: AbortSignal, accept: readonly number[] = []): Promise<T> {
  const response = await call("GET", path, undefined, accept, stop);
  return (await response.json()) as T;
}

/** POST `body`; null when the answer has no document (202, 204). */
export async function post<T>(path: string, body: unknown, stop?: AbortSignal): Promise<T | null> {
  const response = await call("POST", path, body, [], stop);
  const text = await response.text();
  return text === "" ? null : (JSON.parse(text) as T);
}

/** `/path?a=1`, leaving out what is empty. */
export function address(path: string, query: Readonly<Record<string, string | number | null | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}
