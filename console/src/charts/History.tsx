/** Short charts of an asset's measures, from the typed query: mean as a line, min to max as a band. */
import { useSignal } from "@preact/signals";
import { post } from "../api/client.ts";
import type { Answer, Metric, Query } from "../api/types.ts";
import { said, t } from "../i18n/index.ts";
import { nowMs } from "../live/store.ts";
import { Empty, Failure, Loading } from "../parts/common.tsx";
import { f, useLoaded } from "../use.ts";
import { area, line, ticks, type Sample } from "./path.ts";

export type Span = "1h" | "24h" | "7d";
const SPANS: Readonly<Record<Span, { ms: number; everyS: number }>> = {
  "1h": { ms: 3_600_000, everyS: 30 },
  "24h": { ms: 86_400_000, everyS: 600 },
  "7d": { ms: 604_800_000, everyS: 3_600 },
};
const AT_ONCE = 8;

/** Bucket by bucket, for each metric. */
async function load(asset: string, kind: string, names: string[], span: Span, stop: AbortSignal) {
  const { ms, everyS } = SPANS[span];
  const stopMs = Math.ceil(nowMs.peek() / (everyS * 1000)) * everyS * 1000;
  const startMs = stopMs - ms;
  const query: Query = {
    measurement: kind,
    columns: names.flatMap((metric) =>
      (["mean", "min", "max"] as const).map((aggregate) => ({ metric, aggregate })),
    ),
    start_ms: startMs,
    stop_ms: stopMs,
    where: { asset: [asset] },
    every_s: everyS,
  };
  const answer = await post<Answer>("/api/v1/query", query, stop);
  const found = new Map<string, Sample[]>();
  if (!answer) return { found, startMs, stopMs };
  const column = new Map(answer.columns.map((name, index) => [name, index]));
  const number = (row: Answer["rows"][number], name: string): number | null => {
    const value = row[column.get(name) ?? -1];
    return typeof value === "number" ? value : null;
  };
  for (const metric of names) {
    const samples: Sample[] = [];
    for (const row of answer.rows) {
      const [time, mean] = [number(row, "time_us"), number(row, `mean_${metric}`)];
      if (time === null || mean === null) continue;
      samples.push({
        ms: time / 1000,
        mean,
        min: number(row, `min_${metric}`) ?? mean,
        max: number(row, `max_${metric}`) ?? mean,
      });
    }
    found.set(metric, samples);
  }
  return { found, startMs, stopMs };
}

export function History(props: { asset: string; kind: string; metrics: [string, Metric][]; span: Span }) {
  const { asset, kind, span } = props;
  const metrics = props.metrics.slice(0, AT_ONCE);
  const names = metrics.map(([name]) => name);
  const everyMs = Math.max(15_000, (SPANS[span].everyS * 1000) / 2);
  const { data, error, reload } = useLoaded(
    [asset, kind, span, ...names].join(" "),
    (stop) =>
      names.length === 0
        ? Promise.resolve({ found: new Map<string, Sample[]>(), startMs: 0, stopMs: 1 })
        : load(asset, kind, names, span, stop),
    everyMs,
  );
  if (!data) return error === null ? <Loading rows={6} /> : <Failure error={error} retry={reload} />;
  const some = metrics.filter(([name]) => (data.found.get(name)?.length ?? 0) > 0);
  if (some.length === 0) return <Empty title={t.value.asset.noHistory} />;
  return (
    <div class="charts">
      {some.map(([name, metric]) => (
        <Chart
          key={name}
          metric={metric}
          samples={data.found.get(name) ?? []}
          startMs={data.startMs}
          stopMs={data.stopMs}
          span={span}
        />
      ))}
    </div>
  );
}

const W = 400;
const H = 96;

function Chart(props: { metric: Metric; samples: Sample[]; startMs: number; stopMs: number; span: Span }) {
  const { metric, samples, startMs, stopMs, span } = props;
  const at = useSignal<number | null>(null);
  const words = t.value.asset;
  const step = SPANS[span].everyS * 1000;
  const gap = Math.max(step, metric.cadence_s * 1000) * 2.5;
  let low = Math.min(...samples.map((s) => s.min));
  let high = Math.max(...samples.map((s) => s.max));
  const room = Math.max((high - low) * 0.12, 0.6 * 10 ** -metric.decimals, Math.abs(high) * 1e-4);
  low -= room;
  high += room;
  const x = (ms: number): number => ((ms - startMs) / (stopMs - startMs)) * W;
  const y = (value: number): number => H - ((value - low) / (high - low)) * H;
  const write = (value: number): string => f.value.quantity(value, metric.unit, metric.decimals);
  const last = samples.at(-1);
  const pointed = at.value === null ? null : (samples[at.value] ?? null);
  const clamp = (value: number): number => Math.min(H, Math.max(0, value));

  const point = (event: PointerEvent & { currentTarget: SVGSVGElement }): void => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const ms = startMs + ((event.clientX - left) / width) * (stopMs - startMs);
    let best = 0;
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample.ms - ms) < Math.abs((samples[best]?.ms ?? 0) - ms)) best = index;
    }
    at.value = best;
  };
  const shown = pointed ?? last;
  const normal = metric.normal;
  const lowest = Math.min(...samples.map((s) => s.min));
  const highest = Math.max(...samples.map((s) => s.max));
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{said(metric.title)}</span>
        <span class="chart-value">
          {shown ? write(shown.mean) : "–"}
          {pointed && <span class="quiet"> {f.value.moment(pointed.ms, stopMs)}</span>}
        </span>
      </figcaption>
      <div class="chart-body">
        <svg
          viewBox={`0 0 ${W} ${H}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${said(metric.title)}: ${words.min} ${write(lowest)}, ${words.max} ${write(highest)}`}
          onPointerMove={point}
          onPointerLeave={() => { at.value = null; }}
        >
          {normal && (
            <rect
              class="chart-normal"
              x="0"
              width={W}
              y={clamp(y(normal[1]))}
              height={Math.max(0, clamp(y(normal[0])) - clamp(y(normal[1])))}
            />
          )}
          <path class="chart-band" d={area(samples, x, y, gap)} />
          <path class="chart-line" d={line(samples, x, y, gap)} vector-effect="non-scaling-stroke" />
          {pointed && <path class="chart-cursor" d={`M${x(pointed.ms)} 0V${H}`} vector-effect="non-scaling-stroke" />}
        </svg>
        <span class="chart-high">{write(highest)}</span>
        <span class="chart-low">{write(lowest)}</span>
      </div>
      <div class="chart-times" aria-hidden="true">
        {ticks(startMs, stopMs, 3).map((ms) => (
          <span key={ms}>{span === "7d" ? f.value.day(ms) : f.value.minute(ms)}</span>
        ))}
      </div>
    </figure>
  );
}
