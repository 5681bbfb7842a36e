/** Cutting rings of longitude and latitude to a box: at build time to the country's, then to a province's. */

export type Degrees = readonly [number, number];
/** West, south, east, north. */
export type Box = readonly [number, number, number, number];

/** Sutherland and Hodgman against one edge of the box: keeps what `inside` says. */
function cut(
  ring: readonly Degrees[],
  inside: (p: Degrees) => boolean,
  cross: (a: Degrees, b: Degrees) => Degrees,
): Degrees[] {
  const out: Degrees[] = [];
  let previous = ring.at(-1);
  for (const point of ring) {
    if (previous) {
      if (inside(point) !== inside(previous)) out.push(cross(previous, point));
      if (inside(point)) out.push(point);
    }
    previous = point;
  }
  return out;
}

/** The part of a ring inside the box; empty when there is none. */
export function clip(ring: readonly Degrees[], [west, south, east, north]: Box): Degrees[] {
  const atX = (x: number) => (a: Degrees, b: Degrees): Degrees => [
    x,
    a[1] + ((x - a[0]) / (b[0] - a[0])) * (b[1] - a[1]),
  ];
  const atY = (y: number) => (a: Degrees, b: Degrees): Degrees => [
    a[0] + ((y - a[1]) / (b[1] - a[1])) * (b[0] - a[0]),
    y,
  ];
  let out = cut(ring, (p) => p[0] >= west, atX(west));
  out = cut(out, (p) => p[0] <= east, atX(east));
  out = cut(out, (p) => p[1] >= south, atY(south));
  return cut(out, (p) => p[1] <= north, atY(north));
}
