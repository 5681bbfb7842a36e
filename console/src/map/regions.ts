/**
 * Communes as regions around their stations. The province's official borders are not in any open
 * package, so these are schematic: a Voronoi diagram of the sites, joined by commune, that ends a
 * few kilometres from the last site and at the coast.
 */
import { Delaunay } from "d3-delaunay";
import { abroad, rings } from "virtual:coast";
import { clip, type Box } from "./clip.ts";
import { boundsOf, insideRing, project, type Point } from "./geometry.ts";

const CELL = 0.04; // grid step in degrees, about 4 km
const REACH = 0.1; // a region ends this far from its last site, about 11 km
const SHORE = 0.012; // land drawn around a site the coarse coast leaves in the sea, about 1.3 km

export interface Regions {
  /** All land, the neighbours' too. */
  dry: Land;
  abroad: Path2D;
  land: Path2D;
  province: Path2D;
  communeBorders: Path2D;
  provinceBorder: Path2D;
}

export type Land = readonly Point[][];

/** The country's land inside a box of degrees, on the plane. */
export const landOf = (box: Box): Land => cutOut(rings, box);

/** The same of its neighbours: land, and never the province's. */
export const abroadOf = (box: Box): Land => cutOut(abroad, box);

function cutOut(from: typeof rings, box: Box): Land {
  return from
    .map((ring) => clip(ring, box))
    .filter((ring) => ring.length >= 3)
    .map((ring) => ring.map(([lon, lat]) => project(lon, lat)));
}

export function onLand(land: Land, point: Point): boolean {
  return land.some((ring) => insideRing(ring, point));
}

/** Points around the province that belong to nobody; what they enclose stays the province's. */
export function outside(sites: readonly Point[]): Point[] {
  const bounds = boundsOf(sites);
  if (!bounds) return [];
  const delaunay = Delaunay.from(sites, (p) => p.x, (p) => p.y);
  const margin = REACH * 3;
  const [x0, y0] = [bounds.x0 - margin, bounds.y0 - margin];
  const columns = Math.ceil((bounds.x1 + margin - x0) / CELL) + 1;
  const rows = Math.ceil((bounds.y1 + margin - y0) / CELL) + 1;
  const free = new Uint8Array(columns * rows);
  let from = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const [x, y] = [x0 + column * CELL, y0 + row * CELL];
      from = delaunay.find(x, y, from);
      const near = sites[from];
      if (near && Math.hypot(near.x - x, near.y - y) > REACH) free[row * columns + column] = 1;
    }
  }
  // Only what can be reached from the edge is outside: a wide valley without a mast is not.
  const found: Point[] = [];
  const queue: number[] = [0];
  free[0] = 2;
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const [row, column] = [Math.floor(at / columns), at % columns];
    found.push({ x: x0 + column * CELL, y: y0 + row * CELL });
    for (const [r, c] of [
      [row - 1, column],
      [row + 1, column],
      [row, column - 1],
      [row, column + 1],
    ] as const) {
      const next = r * columns + c;
      if (r < 0 || c < 0 || r >= rows || c >= columns || free[next] !== 1) continue;
      free[next] = 2;
      queue.push(next);
    }
  }
  return found;
}

function pathOf(rings: Land): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    for (const [index, { x, y }] of ring.entries()) {
      if (index === 0) path.moveTo(x, y);
      else path.lineTo(x, y);
    }
    path.closePath();
  }
  return path;
}

export function buildRegions(sites: readonly (Point & { commune: number })[], box: Box): Regions {
  const coast = landOf(box);
  const neighbours = abroadOf(box);
  const land = pathOf(coast);
  for (const site of sites) {
    if (onLand(coast, site)) continue;
    land.moveTo(site.x + SHORE, site.y);
    land.arc(site.x, site.y, SHORE, 0, 2 * Math.PI);
  }
  const regions = { dry: [...coast, ...neighbours], abroad: pathOf(neighbours), land, province: new Path2D(), communeBorders: new Path2D(), provinceBorder: new Path2D() };
  if (sites.length < 3) return regions;

  const ghosts = outside(sites);
  const points = [...sites.map((s) => ({ ...s })), ...ghosts.map((g) => ({ ...g, commune: -1 }))];
  const delaunay = Delaunay.from(points, (p) => p.x, (p) => p.y);
  const bounds = boundsOf(points) ?? { x0: 0, y0: 0, x1: 1, y1: 1 };
  const voronoi = delaunay.voronoi([bounds.x0 - 1, bounds.y0 - 1, bounds.x1 + 1, bounds.y1 + 1]);
  for (let index = 0; index < sites.length; index += 1) {
    const cell = voronoi.cellPolygon(index) as [number, number][] | null;
    if (!cell) continue; // another site stands on the same spot
    for (const [corner, [x, y]] of cell.entries()) {
      if (corner === 0) regions.province.moveTo(x, y);
      else regions.province.lineTo(x, y);
    }
    regions.province.closePath();
  }
  const { halfedges, triangles } = delaunay;
  const { circumcenters } = voronoi;
  for (let edge = 0; edge < halfedges.length; edge += 1) {
    const twin = halfedges[edge] ?? -1;
    if (twin <= edge) continue;
    const a = points[triangles[edge] ?? 0]?.commune ?? -1;
    const b = points[triangles[twin] ?? 0]?.commune ?? -1;
    if (a === b) continue;
    const [ta, tb] = [Math.floor(edge / 3), Math.floor(twin / 3)];
    const path = a === -1 || b === -1 ? regions.provinceBorder : regions.communeBorders;
    path.moveTo(circumcenters[ta * 2] ?? 0, circumcenters[ta * 2 + 1] ?? 0);
    path.lineTo(circumcenters[tb * 2] ?? 0, circumcenters[tb * 2 + 1] ?? 0);
  }
  return regions;
}
