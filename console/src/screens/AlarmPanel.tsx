import { useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "../api/client.ts";
import type { AlarmDetail, AlarmView, Rule } from "../api/types.ts";
import { said, t, word } from "../i18n/index.ts";
import * as store from "../live/store.ts";
import { alarmAction, alarmText, impact } from "../parts/alarm-row.tsx";
import { Age, Fact, Facts, Failure, Loading, Moment } from "../parts/common.tsx";
import { SeverityMark, SeverityShape } from "../parts/marks.tsx";
import { alarmLink, assetLink, runbookLink, search } from "../router.ts";
import { f, useLoaded, why } from "../use.ts";

/** What an alarm is, why, what it takes with it, what to do, and what was done. */
export function AlarmPanel({ id, past }: { id: string; past: boolean }) {
  const loaded = useLoaded(id, (stop) => get<AlarmDetail>(`/api/v1/alarms/${encodeURIComponent(id)}`, stop), 5_000);
  const { data, error, reload } = loaded;
  const inStream = store.alarms.value?.active.find((alarm) => alarm.id === id);
  const changed = inStream?.changed_ms;
  const acknowledged = inStream?.acknowledged;
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else reload();
  }, [changed, acknowledged, reload]);
  const alarm = inStream ?? data?.alarm;
  const words = t.value.alarm;
  if (!alarm) return error === null ? <Loading /> : <Failure error={error} retry={reload} />;
  const cleared = alarm.state === "cleared";
  const back = `${past ? "/history" : "/alarms"}${search.value}`;
  const effects = impact(alarm);
  const rule = ruleFor(alarm);
  const action = alarmAction(alarm) || (rule ? said(rule.action) : "");
  return (
    <article class="detail">
      <header class={`detail-head ${cleared ? "cleared" : alarm.severity}`}>
        <SeverityMark severity={alarm.severity} cleared={cleared} />
        <span class="detail-when">
          {cleared && alarm.cleared_ms !== null
            ? `${t.value.severity.cleared} · ${words.lasted(f.value.duration(alarm.cleared_ms - alarm.raised_ms))}`
            : words.since(f.value.duration(store.nowMs.value - alarm.raised_ms))}
        </span>
        <a class="close" href={back} aria-label={t.value.close} title={t.value.close}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="m4 4 8 8m0-8-8 8" /></svg>
        </a>
        <h2>{alarmText(alarm)}</h2>
        <p>
          <a href={assetLink(alarm.asset)} class="id">{alarm.asset}</a>{" "}
          {[alarm.asset_name === alarm.asset ? "" : alarm.asset_name, alarm.commune_name].filter(Boolean).join(" · ")}
        </p>
        {effects.length > 0 && <p class="detail-impact">{effects.join(" · ")}</p>}
      </header>

      {alarm.parent !== "" && (
        <p class="detail-parent">
          {words.root}: <a href={alarmLink(alarm.parent)}>{rootName(alarm.parent)}</a>. {words.suppressedNote}
        </p>
      )}

      {!cleared && <Acknowledge alarm={alarm} done={reload} />}

      <section class="detail-block repair">
        <h3>{words.repair}</h3>
        {action !== "" && <p>{action}</p>}
        <p>
          <a href={runbookLink(rule?.id ?? "device")}>{words.runbook}</a>
        </p>
      </section>

      <section class="detail-block">
        <Facts>
          <Fact name={words.cause}>{word(t.value.cause, alarm.probable_cause)}</Fact>
          {alarm.value !== null && <Value alarm={alarm} />}
          {alarm.source === "device" && alarm.text_en !== "" && <Fact name={words.deviceText}>{alarm.text_en}</Fact>}
          {alarm.object !== "" && <Fact name={words.object}>{alarm.object}</Fact>}
          <Fact name={words.eventType}>{word(t.value.eventType, alarm.event_type)}</Fact>
          <Fact name={words.source}>
            {alarm.source === "device" ? words.fromDevice : <a href={runbookLink(alarm.source)}>{words.fromRule(alarm.source)}</a>}
          </Fact>
          <Fact name={t.value.asset.site}>{alarm.site_name || alarm.site}</Fact>
        </Facts>
        <p class="detail-links">
          <a href={assetLink(alarm.asset)}>{words.openAsset}</a>
          <a href={`/history?asset=${encodeURIComponent(alarm.asset)}`}>{words.history}</a>
          {alarm.lat !== null && alarm.lon !== null && !store.catalog.value?.kinds[alarm.kind]?.own && (
            <a href={`/?map=${alarm.lat.toFixed(4)},${alarm.lon.toFixed(4)},12.5`}>{words.showOnMap}</a>
          )}
        </p>
      </section>

      {data && data.children.length > 0 && <Children detail={data} total={alarm.suppressed_count} />}

      {data && (
        <section class="detail-block">
          <h3>{words.timeline}</h3>
          <ol class="timeline">
            {data.transitions.map((item) => (
              <li key={item.id} class={item.kind}>
                <Moment ms={item.at_ms} />
                <span>
                  {words.transition[item.kind]}
                  {item.actor !== "" && item.actor !== "engine" && <span class="quiet"> · {item.actor}</span>}
                  {item.text !== "" && <q>{item.text}</q>}
                </span>
              </li>
            ))}
          </ol>
        </section>
      )}
    </article>
  );
}

/** The rule it came from; for an alarm of the equipment the one with the same probable cause. */
function ruleFor(alarm: AlarmView): Rule | undefined {
  const rules = store.catalog.value?.kinds[alarm.kind]?.rules ?? [];
  return rules.find(({ id, probable_cause }) =>
    alarm.source === "device" ? probable_cause === alarm.probable_cause : id === alarm.source,
  );
}

function rootName(id: string): string {
  const root = store.alarms.value?.active.find((alarm) => alarm.id === id);
  return root ? `${root.asset}, ${alarmText(root)}` : id;
}

function Value({ alarm }: { alarm: AlarmView }) {
  const metric = store.catalog.value?.kinds[alarm.kind]?.metrics[alarm.metric];
  const show = (value: number): string => f.value.quantity(value, metric?.unit ?? "1", metric?.decimals ?? 1);
  if (alarm.value === null || metric?.type === "bool") return null;
  return (
    <Fact name={t.value.alarm.value}>
      {show(alarm.value)}
      {alarm.threshold !== null && <span class="quiet"> ({t.value.alarm.threshold} {show(alarm.threshold)})</span>}
    </Fact>
  );
}

function Children({ detail, total }: { detail: AlarmDetail; total: number }) {
  const words = t.value.alarm;
  const n = f.value.number;
  const count = Math.max(total, detail.children.length);
  const [open, setOpen] = useState(false);
  const shown = open ? detail.children : detail.children.slice(0, 6);
  return (
    <section class="detail-block">
      <h3>{words.children}</h3>
      <p class="quiet">{words.childrenCount(n(count))}</p>
      <ul class="children">
        {shown.map((child) => (
          <li key={child.id}>
            <a href={alarmLink(child.id)}>
              <SeverityShape severity={child.state === "cleared" ? "cleared" : child.severity} />
              <span class="id">{child.asset}</span>
              <span class="children-text">{alarmText(child)}</span>
              <Age ms={child.raised_ms} />
            </a>
          </li>
        ))}
      </ul>
      {!open && detail.children.length > shown.length && (
        <button type="button" class="plain" onClick={() => { setOpen(true); }}>
          {words.andMore(n(count - shown.length))}
        </button>
      )}
      {open && count > shown.length && <p class="quiet">{words.andMore(n(count - shown.length))}</p>}
    </section>
  );
}

type Action = "acknowledge" | "unacknowledge" | "comment";

function Acknowledge({ alarm, done }: { alarm: AlarmView; done: () => void }) {
  const words = t.value.alarm;
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState<Action | null>(null);
  const [note, setNote] = useState<string | null>(null);
  if (store.session.value?.role === "viewer") return <p class="detail-note quiet">{words.readOnly}</p>;

  const send = async (action: Action): Promise<void> => {
    const text = comment.trim();
    if (action === "comment" && text === "") {
      setNote(words.needComment);
      return;
    }
    setBusy(action);
    setNote(null);
    try {
      const after = await post<AlarmView>(`/api/v1/alarms/${encodeURIComponent(alarm.id)}/${action}`, { comment: text });
      if (after && "id" in after) store.patchAlarm(after);
      else setNote(words.accepted);
      setComment("");
      done();
    } catch (error) {
      setNote(why(error));
    } finally {
      setBusy(null);
    }
  };
  return (
    <form
      class="acknowledge"
      onSubmit={(event) => {
        event.preventDefault();
        void send(alarm.acknowledged ? "comment" : "acknowledge");
      }}
    >
      {alarm.acknowledged && alarm.acknowledged_ms !== null && (
        <p class="acknowledged">{words.ackBy(alarm.acknowledged_by, f.value.moment(alarm.acknowledged_ms, store.nowMs.value))}</p>
      )}
      <label>
        <span>{words.comment}</span>
        <textarea
          rows={2}
          maxLength={2000}
          placeholder={words.commentHint}
          value={comment}
          onInput={(event) => { setComment(event.currentTarget.value); }}
        />
      </label>
      <div class="buttons">
        {alarm.acknowledged ? (
          <>
            <button type="submit" disabled={busy !== null}>{words.addComment}</button>
            <button type="button" class="plain" disabled={busy !== null} onClick={() => void send("unacknowledge")}>
              {words.unacknowledge}
            </button>
          </>
        ) : (
          <>
            <button type="submit" class="primary" disabled={busy !== null}>
              {busy === "acknowledge" ? words.sending : words.acknowledge}
            </button>
            <button type="button" class="plain" disabled={busy !== null} onClick={() => void send("comment")}>
              {words.addComment}
            </button>
          </>
        )}
      </div>
      {note !== null && <p class="form-note" role="status">{note}</p>}
    </form>
  );
}
