/** Alarms in each ten minutes, against what is good (1) and what is a flood (10). */
import { f } from "../use.ts";

export const FLOOD = 10;

export function RateBars({ counts, label }: { counts: readonly number[]; label: string }) {
  // A storm of hundreds would flatten all else: from three floods on a bar is full, the number tells.
  const top = Math.min(FLOOD * 3, Math.max(FLOOD * 1.2, ...counts));
  const step = 5;
  const height = 24;
  const y = (n: number): number => height - (Math.min(n, top) / top) * height;
  return (
    <svg
      class="rate-bars"
      viewBox={`0 0 ${counts.length * step} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${counts.map((n) => f.value.number(n)).join(", ")}`}
    >
      <path class="rate-flood" d={`M0 ${y(FLOOD)}H${counts.length * step}`} />
      <path class="rate-good" d={`M0 ${y(1)}H${counts.length * step}`} />
      {counts.map((n, index) => {
        const h = n === 0 ? 0.6 : Math.max(1.6, height - y(n));
        return (
          <rect
            key={index}
            class={n >= FLOOD ? "flood" : n > 1 ? "some" : ""}
            x={index * step + 0.7}
            y={height - h}
            width={step - 1.4}
            height={h}
          />
        );
      })}
    </svg>
  );
}
