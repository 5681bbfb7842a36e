/**
 * `virtual:coast`: the land in Viet Nam's box from Natural Earth 1:10m (the package `world-atlas`),
 * cut out when the console is built, so that nothing is fetched when it runs. Which province is
 * shown is only known then.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { MultiPolygon, Polygon, Position } from "geojson";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import type { Plugin } from "vite";
import { clip, type Box } from "../src/map/clip.ts";

/** Degrees: the mainland with a margin, so that the view can be dragged. */
const BOX: Box = [101.5, 7.5, 110.8, 24.2];
/** ISO 3166-1 numeric, as world-atlas has it: Viet Nam, and its neighbours by land, which are not sea. */
const COUNTRY = ["704"];
const NEIGHBOURS = ["116", "156", "418"];
const DECIMALS = 3; // about 100 m, finer than the coast itself

const ID = "virtual:coast";

type Ring = (readonly [number, number])[];

export function readCoast(countries: readonly string[]): Ring[] {
  const path = createRequire(import.meta.url).resolve("world-atlas/countries-10m.json");
  const atlas = JSON.parse(readFileSync(path, "utf8")) as Topology<{ countries: GeometryCollection }>;
  const { features } = feature(atlas, atlas.objects.countries);
  const polygons = countries.flatMap((id) => {
    const shape = features.find((country) => country.id === id)?.geometry as Polygon | MultiPolygon | undefined;
    if (!shape) throw new Error(`world-atlas has no country ${id}`);
    return shape.type === "Polygon" ? [shape.coordinates] : shape.coordinates;
  });
  const scale = 10 ** DECIMALS;
  return polygons
    .flatMap((polygon: Position[][]) => polygon.slice(0, 1))
    .map((ring) => clip(ring.slice(0, -1).map(([lon = 0, lat = 0]) => [lon, lat] as const), BOX))
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
        ? [
            `export const box = ${JSON.stringify(BOX)};`,
            `export const rings = ${JSON.stringify(readCoast(COUNTRY))};`,
            `export const abroad = ${JSON.stringify(readCoast(NEIGHBOURS))};`,
          ].join("\n")
        : undefined,
  };
}
