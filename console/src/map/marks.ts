/** How each thing looks on the map: grey while normal, shape and colour when not. */
import type { AlarmView, AssetState, Severity } from "../api/types.ts";
import type { Sheet, Station } from "./scene.ts";

export type Colour = readonly [number, number, number, number];

/** The numbers are those of the fragment shader. */
export const Shape = { circle: 0, square: 1, diamond: 2, triangle: 3, ring: 4, hatched: 5 } as const;
export type ShapeCode = (typeof Shape)[keyof typeof Shape];

export interface Palette {
  station: Colour;
  span: Colour;
  center: Colour;
  unseen: Colour;
  halo: Colour;
  severity: Readonly<Record<Severity, Colour>>;
}

export const SEVERITY_SHAPE: Readonly<Record<Severity, ShapeCode>> = {
  critical: Shape.diamond,
  major: Shape.triangle,
  minor: Shape.square,
  warning: Shape.circle,
  indeterminate: Shape.ring,
};

/** What an asset's state says where no alarm of its own is shown (it is suppressed under a root). */
const STATE_SEVERITY: Readonly<Partial<Record<AssetState, Severity>>> = {
  down: "critical",
  silent: "critical",
  degraded: "major",
};

/** How large an alarm's mark is, in pixels: a flood of warnings must not hide what is down. */
const SEVERITY_SIZE: Readonly<Record<Severity, number>> = {
  critical: 13,
  major: 11,
  minor: 8.5,
  warning: 8,
  indeterminate: 7,
};
/** The state of what an alarm elsewhere explains. */
const CHILD_SIZE = 7.5;

/** Floats of one point: x, y, offset x, y (pixels), size, shape, colour. */
export const POINT_FLOATS = 10;
/** Floats of one line: both ends, width, dash, colour. */
export const LINE_FLOATS = 10;

export interface Batch {
  data: Float32Array;
  count: number;
}

export interface Marks {
  lines: Batch;
  normal: Batch;
  abnormal: Batch;
}

/** Where a station stands beside its mast, in pixels per unit of spread. */
export function slotOffset({ slot, slots }: Pick<Station, "slot" | "slots">): readonly [number, number] {
  if (slots < 2) return [0, 0];
  const angle = (slot / slots) * 2 * Math.PI - Math.PI / 2;
  return [Math.cos(angle), Math.sin(angle)];
}

class Writer {
  private readonly data: number[] = [];

  add(...numbers: number[]): void {
    this.data.push(...numbers);
  }

  batch(floats: number): Batch {
    return { data: new Float32Array(this.data), count: this.data.length / floats };
  }
}

/** The points and lines of a sheet. The abnormal ones come last, so that they are on top. */
export function buildMarks(
  sheet: Sheet,
  abnormal: ReadonlyMap<string, AssetState>,
  alarms: ReadonlyMap<string, AlarmView>,
  palette: Palette,
): Marks {
  const normal = new Writer();
  const marked: { order: number; numbers: number[] }[] = [];
  const lines = new Writer();
  const failed: number[][] = [];

  for (const { id, a, b } of sheet.spans) {
    const state = abnormal.get(id);
    const severity = alarms.get(id)?.severity ?? (state && STATE_SEVERITY[state]);
    if (severity) {
      const dash = state === "silent" ? 1 : 0;
      failed.push([a.x, a.y, b.x, b.y, alarms.has(id) ? 3.2 : 2, dash, ...palette.severity[severity]]);
    } else {
      const colour = state === "not_seen" ? palette.unseen : palette.span;
      lines.add(a.x, a.y, b.x, b.y, 1, state === "not_seen" ? 1 : 0, ...colour);
    }
  }
  for (const line of failed) lines.add(...line);

  for (const station of sheet.stations) {
    const state = abnormal.get(station.id);
    const alarm = alarms.get(station.id);
    const severity = alarm?.severity ?? (state && STATE_SEVERITY[state]);
    const [ox, oy] = slotOffset(station);
    if (severity) {
      const shape = !alarm && state === "silent" ? Shape.hatched : SEVERITY_SHAPE[severity];
      const size = alarm ? SEVERITY_SIZE[severity] : CHILD_SIZE;
      marked.push({
        order: alarm ? size : 0,
        numbers: [station.x, station.y, ox, oy, size, shape, ...palette.severity[severity]],
      });
    } else if (state === "not_seen") {
      normal.add(station.x, station.y, ox, oy, 3.4, Shape.ring, ...palette.unseen);
    } else {
      normal.add(station.x, station.y, ox, oy, 2.8, Shape.circle, ...palette.station);
    }
  }
  for (const center of sheet.centers) {
    normal.add(center.x, center.y, 0, 0, 11, Shape.square, ...palette.center);
  }
  // The worst last, on top of the rest.
  const abnormalPoints = new Writer();
  for (const { numbers } of marked.sort((a, b) => a.order - b.order)) abnormalPoints.add(...numbers);
  return { lines: lines.batch(LINE_FLOATS), normal: normal.batch(POINT_FLOATS), abnormal: abnormalPoints.batch(POINT_FLOATS) };
}
