/** Mercator on a plane in degrees of longitude, and the view of it on the screen. */
import { box } from "virtual:coast";

const RAD = Math.PI / 180;
const mercator = (lat: number): number => Math.log(Math.tan(Math.PI / 4 + (lat * RAD) / 2)) / RAD;

// The plane's origin is in the middle of the country: 32-bit floats are good to a decimetre.
const LON0 = (box[0] + box[2]) / 2;
const Y0 = mercator((box[1] + box[3]) / 2);

export interface Point {
  x: number;
  y: number;
}

/** Degrees to the plane: x to the east, y to the south. */
export function project(lon: number, lat: number): Point {
  return { x: lon - LON0, y: Y0 - mercator(lat) };
}

export function unproject({ x, y }: Point): { lon: number; lat: number } {
  return { lon: x + LON0, lat: (2 * Math.atan(Math.exp((Y0 - y) * RAD)) - Math.PI / 2) / RAD };
}

/** Kilometres in one unit of the plane at a point. */
export function kilometres(point: Point): number {
  return 111.32 * Math.cos(unproject(point).lat * RAD);
}

export interface Bounds {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export function boundsOf(points: Iterable<Point>): Bounds | null {
  const bounds = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (const { x, y } of points) {
    bounds.x0 = Math.min(bounds.x0, x);
    bounds.y0 = Math.min(bounds.y0, y);
    bounds.x1 = Math.max(bounds.x1, x);
    bounds.y1 = Math.max(bounds.y1, y);
  }
  return Number.isFinite(bounds.x0) ? bounds : null;
}

/** What is in the middle of the screen, and how many CSS pixels one unit of the plane takes. */
export interface View {
  cx: number;
  cy: number;
  k: number;
}

export interface Size {
  w: number;
  h: number;
}

export interface Padding {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

const even = (pad: number): Padding => ({ top: pad, right: pad, bottom: pad, left: pad });

/** The view that shows all of `bounds` inside the padding. */
export function fit(bounds: Bounds, size: Size, padding: Padding | number): View {
  const pad = typeof padding === "number" ? even(padding) : padding;
  const w = Math.max(1, size.w - pad.left - pad.right);
  const h = Math.max(1, size.h - pad.top - pad.bottom);
  const k = Math.min(w / Math.max(bounds.x1 - bounds.x0, 1e-3), h / Math.max(bounds.y1 - bounds.y0, 1e-3));
  return {
    k,
    cx: (bounds.x0 + bounds.x1) / 2 - (pad.left - pad.right) / 2 / k,
    cy: (bounds.y0 + bounds.y1) / 2 - (pad.top - pad.bottom) / 2 / k,
  };
}

export function toScreen(view: View, size: Size, { x, y }: Point): Point {
  return { x: (x - view.cx) * view.k + size.w / 2, y: (y - view.cy) * view.k + size.h / 2 };
}

export function toPlane(view: View, size: Size, { x, y }: Point): Point {
  return { x: (x - size.w / 2) / view.k + view.cx, y: (y - size.h / 2) / view.k + view.cy };
}

/** Zoom by `factor` with the point under the cursor staying where it is. */
export function zoomAt(view: View, size: Size, at: Point, factor: number): View {
  const fixed = toPlane(view, size, at);
  const k = view.k * factor;
  return { k, cx: fixed.x - (at.x - size.w / 2) / k, cy: fixed.y - (at.y - size.h / 2) / k };
}

/** Not farther out than the whole, not closer than streets, and never away from the province. */
export function limit(view: View, whole: View, bounds: Bounds): View {
  const k = Math.min(Math.max(view.k, whole.k * 0.9), whole.k * 400);
  return {
    k,
    cx: Math.min(Math.max(view.cx, bounds.x0), bounds.x1),
    cy: Math.min(Math.max(view.cy, bounds.y0), bounds.y1),
  };
}

/** `12.2451,109.1943,9.21`: latitude, longitude, log2 of the scale. Null when it is none. */
export function parseView(text: string | null): View | null {
  const parts = (text ?? "").split(",").map(Number);
  const [lat, lon, zoom] = parts;
  if (parts.length !== 3 || lat === undefined || lon === undefined || zoom === undefined) return null;
  if (!parts.every(Number.isFinite) || Math.abs(lat) > 85 || zoom < 2 || zoom > 24) return null;
  const { x, y } = project(lon, lat);
  return { cx: x, cy: y, k: 2 ** zoom };
}

export function formatView(view: View): string {
  const { lat, lon } = unproject({ x: view.cx, y: view.cy });
  return `${lat.toFixed(4)},${lon.toFixed(4)},${Math.log2(view.k).toFixed(2)}`;
}

/** Squared distance from a point to a segment. */
export function segmentDistance2(p: Point, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length2 = dx * dx + dy * dy;
  const along = length2 === 0 ? 0 : ((p.x - a.x) * dx + (p.y - a.y) * dy) / length2;
  const u = Math.min(1, Math.max(0, along));
  return (p.x - a.x - u * dx) ** 2 + (p.y - a.y - u * dy) ** 2;
}

export function insideRing(ring: readonly Point[], { x, y }: Point): boolean {
  let inside = false;
  let previous = ring.at(-1);
  for (const point of ring) {
    if (
      previous &&
      point.y > y !== previous.y > y &&
      x < ((previous.x - point.x) * (y - point.y)) / (previous.y - point.y) + point.x
    ) {
      inside = !inside;
    }
    previous = point;
  }
  return inside;
}

/** A round length for the scale bar that is at most `maxKm`. */
export function roundLength(maxKm: number): number {
  const power = 10 ** Math.floor(Math.log10(maxKm));
  const step = [5, 2, 1].find((n) => n * power <= maxKm) ?? 1;
  return step * power;
}
