import { address } from "../api/client.ts";
import type { DeliveryRow, Page } from "../api/types.ts";
import { t } from "../i18n/index.ts";
import { nowMs } from "../live/store.ts";
import { Empty, Failure, Loading, Moment, Segments } from "../parts/common.tsx";
import { language } from "../preferences.ts";
import { alarmLink, query, setQuery } from "../router.ts";
import { f } from "../use.ts";
import { usePaged } from "./paged.ts";

type DeliveryPage = Page<DeliveryRow> & { totals: Record<string, number> };
const STATUSES = ["delivered", "pending", "dead"] as const;
type Status = (typeof STATUSES)[number];

function statusWord(status: string): string {
  const words = t.value.deliveries;
  if (status === "delivered") return words.ok;
  if (status === "pending") return words.pending;
  return status === "dead" ? words.dead : status;
}

export function Deliveries() {
  const words = t.value.deliveries;
  const status = query.value.get("status") ?? "";
  const url = (cursor: string | null): string =>
    address("/api/v1/deliveries", { status, limit: 50, before_ms: cursor });
  const { items, first, more, loading, error, reload } = usePaged<DeliveryRow, DeliveryPage>(url(null), url, 5_000);
  const total = (name: Status): string => (first ? ` ${f.value.number(first.totals[name] ?? 0)}` : "");
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
      </header>
      <div class="filters">
        <Segments<string>
          label={words.status}
          value={status}
          choices={[
            { value: "", label: t.value.all },
            ...STATUSES.map((value) => ({ value, label: statusWord(value) + total(value) })),
          ]}
          choose={(value) => { setQuery({ status: value }); }}
        />
      </div>
      {!first && (error === null ? <Loading /> : <Failure error={error} retry={reload} />)}
      {first && items.length === 0 && (
        <Empty title={words.empty}>
          <p>{words.emptyHint}</p>
        </Empty>
      )}
      {items.length > 0 && (
        <ul class="log">
          {items.map((item) => (
            <Delivery key={item.id} item={item} />
          ))}
        </ul>
      )}
      {more && (
        <button type="button" class="more" disabled={loading} onClick={more}>
          {t.value.loadMore}
        </button>
      )}
    </div>
  );
}

/** What it was about, in the alarm's words; its id where the alarm is gone. */
function Subject({ item }: { item: DeliveryRow }) {
  const text = language.value === "vi" ? item.text_vi : item.text_en;
  if (text !== "") return <span>{text}</span>;
  return <span class="quiet id">{item.alarm === "" ? item.group_key : item.alarm}</span>;
}

function Delivery({ item }: { item: DeliveryRow }) {
  const words = t.value.deliveries;
  const n = f.value.number;
  return (
    <li class={`log-item ${item.status}`}>
      <details>
        <summary>
          <span class="log-status">
            <span class={`delivery-mark ${item.status}`} aria-hidden="true" />
            {statusWord(item.status)}
          </span>
          <span class="log-what">
            <span>{item.firing ? words.firing : words.resolved}</span> <Subject item={item} />
          </span>
          <span class="log-route">{item.route}</span>
          <span class="log-attempts num">
            {words.attempts} {n(item.attempts)}
          </span>
          <Moment ms={item.created_ms} />
        </summary>
        <div class="log-body">
          {item.last_error !== "" && item.status !== "delivered" && (
            <p>
              {words.lastError}: <span class="error-text">{item.last_error}</span>
            </p>
          )}
          {item.status === "pending" && item.next_attempt_ms !== null && item.next_attempt_ms > nowMs.value && (
            <p>{words.next(f.value.age(item.next_attempt_ms - nowMs.value))}</p>
          )}
          {item.alarm !== "" && (
            <p>
              {words.alarm}: <a href={alarmLink(item.alarm)} class="id">{item.alarm}</a>
            </p>
          )}
          <p class="quiet">
            webhook-id: <span class="id">{item.id}</span>
          </p>
          <table class="table compact">
            <caption class="hidden">{words.log}</caption>
            <tbody>
              {item.log.map((attempt, index) => (
                <tr key={attempt.at_ms}>
                  <td>{words.attempt(n(index + 1))}</td>
                  <td><Moment ms={attempt.at_ms} /></td>
                  <td class="num">{words.took(n(attempt.duration_ms))}</td>
                  <td>{attempt.status_code === null ? words.noAnswer : `HTTP ${attempt.status_code}`}</td>
                  <td class="error-text">{attempt.error}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </li>
  );
}
