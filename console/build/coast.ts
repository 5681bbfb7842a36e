/**
 * `virtual:coast`: the land of the province's box from Natural Earth 1:10m (the package
 * `world-atlas`), cut out when the console is built, so that nothing is fetched when it runs.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { MultiPolygon, Polygon, Position } from "geojson";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import type { Plugin } from "vite";

/** West, south, east, north in degrees: Khánh Hòa with a margin, so that the view can be dragged. */
const BOX = [107.4, 10.4, 110.6, 13.9] as const;
/** ISO 3166-1 numeric of Viet Nam, as world-atlas has it. */
const COUNTRY = "704";
const DECIMALS = 4; // about 10 m

const ID = "virtual:coast";

type Ring = [number, number][];

/** Sutherland and Hodgman against one edge of the box: keeps what `inside` says. */
function cut(
  ring: Ring,
  inside: (p: [number, number]) => boolean,
  cross: (a: [number, number], b: [number, number]) => [number, number],
): Ring {
  const out: Ring = [];
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

function clip(ring: Ring): Ring {
  const [west, south, east, north] = BOX;
  const atX = (x: number) => (a: [number, number], b: [number, number]): [number, number] => [
    x,
    a[1] + ((x - a[0]) / (b[0] - a[0])) * (b[1] - a[1]),
  ];
  const atY = (y: number) => (a: [number, number], b: [number, number]): [number, number] => [
    a[0] + ((y - a[1]) / (b[1] - a[1])) * (b[0] - a[0]),
    y,
  ];
  let out = cut(ring, (p) => p[0] >= west, atX(west));
  out = cut(out, (p) => p[0] <= east, atX(east));
  out = cut(out, (p) => p[1] >= south, atY(south));
  return cut(out, (p) => p[1] <= north, atY(north));
}

export function readCoast(): Ring[] {
  const path = createRequire(import.meta.url).resolve("world-atlas/countries-10m.json");
  const atlas = JSON.parse(readFileSync(path, "utf8")) as Topology<{ countries: GeometryCollection }>;
  const country = feature(atlas, atlas.objects.countries).features.find(({ id }) => id === COUNTRY);
  if (!country) throw new Error(`world-atlas has no country ${COUNTRY}`);
  const shape = country.geometry as Polygon | MultiPolygon;
  const polygons = shape.type === "Polygon" ? [shape.coordinates] : shape.coordinates;
  const scale = 10 ** DECIMALS;
  return polygons
    .flatMap((polygon: Position[][]) => polygon.slice(0, 1))
    .map((ring) => clip(ring.slice(0, -1).map(([lon = 0, lat = 0]) => [lon, lat])))
    .filter((ring) => ring.length >= 3)
    .map((ring) =>
      ring.map(([lon, lat]) => [Math.round(lon * scale) / scale, Math.round(lat * scale) / scale]),
    );
}

export function coast(): Plugin {
  return {
    name: "ioc-coast",
    resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
    load: (id) =>
      id === `\0${ID}`
        ? `export const box = ${JSON.stringify(BOX)};\nexport const rings = ${JSON.stringify(readCoast())};\n`
        : undefined,
  };
}
