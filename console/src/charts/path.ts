/** SVG paths of samples over time, broken where nothing was measured. */

export interface Sample {
  ms: number;
  mean: number;
  min: number;
  max: number;
}

type Scale = (value: number) => number;
const n = (value: number): string => value.toFixed(1);

/** Runs of samples with no hole longer than `gapMs` between two of them. */
export function runs(samples: readonly Sample[], gapMs: number): Sample[][] {
  const found: Sample[][] = [];
  let previous: Sample | undefined;
  for (const sample of samples) {
    const run = found.at(-1);
    if (run && previous && sample.ms - previous.ms <= gapMs) run.push(sample);
    else found.push([sample]);
    previous = sample;
  }
  return found;
}

export function line(samples: readonly Sample[], x: Scale, y: Scale, gapMs: number): string {
  return runs(samples, gapMs)
    .map((run) => {
      const points = run.map(({ ms, mean }) => `${n(x(ms))} ${n(y(mean))}`);
      // A lone sample is a short dash rather than nothing.
      return points.length === 1 ? `M${points[0] ?? ""}h1.5` : `M${points.join("L")}`;
    })
    .join("");
}

export function area(samples: readonly Sample[], x: Scale, y: Scale, gapMs: number): string {
  return runs(samples, gapMs)
    .map((run) => {
      const top = run.map(({ ms, max }) => `${n(x(ms))} ${n(y(max))}`);
      const bottom = [...run].reverse().map(({ ms, min }) => `${n(x(ms))} ${n(y(min))}`);
      return `M${[...top, ...bottom].join("L")}Z`;
    })
    .join("");
}

/** `count` times from start to stop, both included. */
export function ticks(startMs: number, stopMs: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => startMs + ((stopMs - startMs) * index) / (count - 1));
}
