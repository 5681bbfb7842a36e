/** The inventory as places on the plane: worked out once, whenever the inventory changes. */
import type { MapDocument } from "../api/types.ts";
import type { Box } from "./clip.ts";
import { boundsOf, project, type Bounds, type Point } from "./geometry.ts";

export interface Station extends Point {
  id: string;
  kind: string;
  operator: string;
  site: number;
  /** Which of the stations on its mast, and how many there are: they are drawn around it. */
  slot: number;
  slots: number;
}

export interface Span {
  id: string;
  a: Point;
  b: Point;
}

/** A data centre: one square for all that stands there. */
export interface Center extends Point {
  site: string;
  name: string;
  assets: string[];
}

export interface Place extends Point {
  code: string;
  name: string;
  population: number;
}

/** One sheet of the map: the province, or the far islands in their inset. */
export interface Sheet {
  stations: Station[];
  spans: Span[];
  centers: Center[];
  places: Place[];
  bounds: Bounds | null;
}

export interface Scene {
  /** What of the land is drawn, in degrees: the province with a margin, so that it can be dragged. */
  box: Box;
  /** Whether a place belongs to the inset. */
  far: (lon: number, lat: number) => boolean;
  main: Sheet;
  inset: Sheet;
  /** Sites and centres of communes on the main sheet with the commune's number, for the regions. */
  sites: (Point & { commune: number })[];
}

/** Nha Trang rather than Phường Nha Trang: the map's labels are short. */
export function shortName(name: string): string {
  return name.replace(/^(Phường|Xã|Thị trấn|Đặc khu|Trung tâm dữ liệu)\s+|\s+data cent(?:er|re)$/giu, "");
}

const emptySheet = (): Sheet => ({ stations: [], spans: [], centers: [], places: [], bounds: null });

const MARGIN = 1.1; // degrees

export function buildScene(document: MapDocument): Scene {
  const [west, south, east, north] = document.bbox;
  const far = (lon: number, lat: number): boolean => lon < west || lon > east || lat < south || lat > north;
  const box: Box = [west - MARGIN, south - MARGIN, east + MARGIN, north + MARGIN];
  const scene: Scene = { box, far, main: emptySheet(), inset: emptySheet(), sites: [] };
  const sites = document.sites.map((site) => ({
    ...site,
    ...project(site.lon, site.lat),
    sheet: far(site.lon, site.lat) ? scene.inset : scene.main,
  }));
  const communes = new Map<string, number>();
  for (const site of sites) {
    if (site.sheet !== scene.main) continue;
    const commune = communes.get(site.commune) ?? communes.size;
    communes.set(site.commune, commune);
    scene.sites.push({ x: site.x, y: site.y, commune });
  }
  const masts = new Map<number, Station[]>();
  const centers = new Map<number, Center>();
  for (const [id, kind, index, operator] of document.assets) {
    const site = sites[index];
    if (!site) continue;
    if (site.data_center && kind !== "bts") {
      let center = centers.get(index);
      if (!center) {
        center = { site: site.id, name: shortName(site.name), x: site.x, y: site.y, assets: [] };
        centers.set(index, center);
        site.sheet.centers.push(center);
      }
      center.assets.push(id);
      continue;
    }
    const mast = masts.get(index) ?? [];
    masts.set(index, mast);
    const station: Station = { id, kind, operator, site: index, x: site.x, y: site.y, slot: mast.length, slots: 1 };
    mast.push(station);
    site.sheet.stations.push(station);
  }
  for (const mast of masts.values()) for (const station of mast) station.slots = mast.length;
  for (const [id, from, to] of document.spans) {
    const [a, b] = [sites[from], sites[to]];
    if (!a || !b) continue;
    if (a.sheet === b.sheet) a.sheet.spans.push({ id, a, b });
    else {
      // A link between the sheets: its near end shows where it leaves.
      const near = a.sheet === scene.main ? a : b;
      scene.main.spans.push({ id, a: near, b: { x: near.x + 0.09, y: near.y + 0.05 } });
    }
  }
  for (const commune of document.communes) {
    const sheet = far(commune.lon, commune.lat) ? scene.inset : scene.main;
    sheet.places.push({
      code: commune.code,
      name: shortName(commune.name),
      population: commune.population,
      ...project(commune.lon, commune.lat),
    });
    // Its centre counts like a site: a commune without a mast has its region too.
    if (sheet === scene.main) {
      const number = communes.get(commune.code) ?? communes.size;
      communes.set(commune.code, number);
      scene.sites.push({ ...project(commune.lon, commune.lat), commune: number });
    }
  }
  for (const sheet of [scene.main, scene.inset]) {
    sheet.bounds = boundsOf([...sheet.stations, ...sheet.centers, ...sheet.places]);
  }
  return scene;
}
