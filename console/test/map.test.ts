import { abroad, rings } from "virtual:coast";
import { describe, expect, it } from "vitest";
import type { AlarmView, MapDocument } from "../src/api/types.ts";
import { fit, formatView, limit, parseView, project, roundLength, segmentDistance2, toPlane, toScreen, unproject, zoomAt } from "../src/map/geometry.ts";
import { buildMarks, POINT_FLOATS, Shape, type Palette } from "../src/map/marks.ts";
import { abroadOf, landOf, onLand, outside } from "../src/map/regions.ts";
import { buildScene, shortName } from "../src/map/scene.ts";

describe("the plane", () => {
  it("goes there and back", () => {
    const { lon, lat } = unproject(project(109.19, 12.245));
    expect(lon).toBeCloseTo(109.19, 9);
    expect(lat).toBeCloseTo(12.245, 9);
  });

  it("has the north above", () => {
    expect(project(109, 12.5).y).toBeLessThan(project(109, 12).y);
  });
});

describe("the view", () => {
  const size = { w: 800, h: 700 };
  const bounds = { x0: -0.5, y0: -0.8, x1: 0.5, y1: 0.8 };

  it("shows all of the province inside the padding", () => {
    const view = fit(bounds, size, 20);
    for (const corner of [{ x: bounds.x0, y: bounds.y0 }, { x: bounds.x1, y: bounds.y1 }]) {
      const { x, y } = toScreen(view, size, corner);
      expect(x).toBeGreaterThanOrEqual(19.9);
      expect(y).toBeGreaterThanOrEqual(19.9);
      expect(x).toBeLessThanOrEqual(780.1);
      expect(y).toBeLessThanOrEqual(680.1);
    }
  });

  it("zooms about the cursor", () => {
    const view = fit(bounds, size, 20);
    const cursor = { x: 600, y: 200 };
    const under = toPlane(view, size, cursor);
    const after = toScreen(zoomAt(view, size, cursor, 3), size, under);
    expect(after.x).toBeCloseTo(600, 6);
    expect(after.y).toBeCloseTo(200, 6);
  });

  it("stays within limits", () => {
    const whole = fit(bounds, size, 20);
    const lost = limit({ cx: 40, cy: -40, k: 0.001 }, whole, bounds);
    expect(lost.cx).toBe(bounds.x1);
    expect(lost.cy).toBe(bounds.y0);
    expect(lost.k).toBeGreaterThan(0);
  });

  it("is in the address, to the metre", () => {
    const view = { cx: 0.19, cy: -0.2, k: 900 };
    const read = parseView(formatView(view));
    expect(read?.cx).toBeCloseTo(view.cx, 4);
    expect(read?.cy).toBeCloseTo(view.cy, 4);
    for (const bad of [null, "", "1,2", "a,b,c", "91,0,9", "12,109,99"]) expect(parseView(bad)).toBeNull();
  });
});

it("distance to a segment ends at its ends", () => {
  const [a, b] = [{ x: 0, y: 0 }, { x: 10, y: 0 }];
  expect(segmentDistance2({ x: 5, y: 3 }, a, b)).toBe(9);
  expect(segmentDistance2({ x: 14, y: 3 }, a, b)).toBe(25);
  expect(segmentDistance2({ x: 3, y: 4 }, a, a)).toBe(25);
});

it("the scale bar has a round length", () => {
  expect(roundLength(34)).toBe(20);
  expect(roundLength(7.2)).toBe(5);
  expect(roundLength(0.3)).toBeCloseTo(0.2);
});

describe("the coast", () => {
  const khanhHoa = [107.4, 10.4, 110.6, 13.9] as const;

  it("is that of the country, with its neighbours by land", () => {
    for (const [lon, lat] of [...rings, ...abroad].flat()) {
      expect(lon).toBeGreaterThanOrEqual(101.5);
      expect(lon).toBeLessThanOrEqual(110.8);
      expect(lat).toBeGreaterThanOrEqual(7.5);
      expect(lat).toBeLessThanOrEqual(24.2);
    }
    // West of Thanh Hóa is no sea, and not the country either.
    const [box, west] = [[103, 18, 107, 21] as const, project(103.9, 20.0)];
    expect(onLand(abroadOf(box), west)).toBe(true);
    expect(onLand(landOf(box), west)).toBe(false);
  });

  it("is cut to the province's box, with the mainland and islands", () => {
    const land = landOf(khanhHoa);
    expect(land.length).toBeGreaterThan(1);
    for (const point of land.flat()) {
      const { lon, lat } = unproject(point);
      expect(lon).toBeGreaterThanOrEqual(107.4 - 1e-9);
      expect(lon).toBeLessThanOrEqual(110.6 + 1e-9);
      expect(lat).toBeGreaterThanOrEqual(10.4 - 1e-9);
      expect(lat).toBeLessThanOrEqual(13.9 + 1e-9);
    }
  });

  it("has the hills on land and the open sea at sea", () => {
    const land = landOf(khanhHoa);
    expect(onLand(land, project(108.9, 12.25))).toBe(true);
    expect(onLand(land, project(110.2, 12.0))).toBe(false);
    const bay = landOf([105.5, 20, 109, 22.5]);
    expect(onLand(bay, project(107.1, 21.0))).toBe(true); // Hạ Long
    expect(onLand(bay, project(107.6, 20.6))).toBe(false);
  });
});

describe("the regions", () => {
  it("leave a valley without masts to the province", () => {
    const ring = Array.from({ length: 48 }, (_, n) => ({
      x: Math.cos((n / 48) * 2 * Math.PI) * 0.3,
      y: Math.sin((n / 48) * 2 * Math.PI) * 0.3,
    }));
    const ghosts = outside(ring);
    expect(ghosts.length).toBeGreaterThan(50);
    for (const { x, y } of ghosts) expect(Math.hypot(x, y)).toBeGreaterThan(0.3);
  });
});

const document: MapDocument = {
  inventory_version: 1,
  bbox: [108.5, 11.3, 109.5, 12.9],
  communes: [{ code: "22366", name: "Phường Nha Trang", lat: 12.24, lon: 109.19, population: 9 }],
  sites: [
    { id: "S-1", name: "A", commune: "22366", lat: 12.24, lon: 109.19, core: false, data_center: false },
    { id: "S-2", name: "B", commune: "22366", lat: 12.3, lon: 109.1, core: false, data_center: false },
    { id: "DC-NT", name: "Trung tâm dữ liệu Nha Trang", commune: "22366", lat: 12.25, lon: 109.18, core: true, data_center: true },
    { id: "S-3", name: "Trường Sa", commune: "22736", lat: 8.64, lon: 111.92, core: false, data_center: false },
  ],
  assets: [
    ["KH00001", "bts", 0, "op-a"],
    ["KH00002", "bts", 0, "op-b"],
    ["KH00003", "bts", 3, "op-a"],
    ["DC-NT-UPS-A", "ups", 2, ""],
    ["KH00004", "bts", -1, "op-a"],
  ],
  spans: [["NT-0001", 0, 1], ["NT-0002", 0, 3], ["NT-0003", 0, -1]],
};

describe("the scene", () => {
  const scene = buildScene(document);

  it("puts far islands into the inset", () => {
    expect(scene.main.stations.map(({ id }) => id)).toEqual(["KH00001", "KH00002"]);
    expect(scene.inset.stations.map(({ id }) => id)).toEqual(["KH00003"]);
  });

  it("follows the province's own box, wherever it lies", () => {
    const north = buildScene({
      ...document,
      bbox: [106.38, 20.7, 108.15, 21.72],
      sites: [
        { id: "S-1", name: "Hạ Long", commune: "06688", lat: 20.97, lon: 107.06, core: false, data_center: false },
        { id: "S-2", name: "Cô Tô", commune: "07192", lat: 20.973, lon: 107.764, core: true, data_center: false },
      ],
      assets: [["QN00001", "bts", 0, ""], ["QN00002", "bts", 1, ""]],
      spans: [],
      communes: [],
    });
    expect(north.main.stations.map(({ id }) => id)).toEqual(["QN00001", "QN00002"]);
    expect(north.inset.bounds).toBe(null);
    expect(north.far(109.19, 12.24)).toBe(true);
  });

  it("draws a data centre as one, and the stations of a mast around it", () => {
    expect(scene.main.centers).toMatchObject([{ site: "DC-NT", name: "Nha Trang", assets: ["DC-NT-UPS-A"] }]);
    expect(scene.main.stations.map(({ slot, slots }) => [slot, slots])).toEqual([[0, 2], [1, 2]]);
  });

  it("keeps a span between the sheets, and leaves out one without an end", () => {
    expect(scene.main.spans.map(({ id }) => id)).toEqual(["NT-0001", "NT-0002"]);
  });

  it("has short names", () => {
    expect(shortName("Phường Nha Trang")).toBe("Nha Trang");
    expect(shortName("Đặc khu Trường Sa")).toBe("Trường Sa");
    expect(shortName("Nha Trang data centre")).toBe("Nha Trang");
  });
});

describe("the marks", () => {
  const grey = [0.5, 0.5, 0.5, 1] as const;
  const palette: Palette = {
    station: grey, span: grey, center: grey, unseen: grey, halo: grey,
    severity: { critical: [1, 0, 0, 1], major: [1, 1, 0, 1], minor: grey, warning: grey, indeterminate: grey },
  };
  const { main } = buildScene(document);

  it("are grey while all is well", () => {
    const marks = buildMarks(main, new Map(), new Map(), palette);
    expect(marks.abnormal.count).toBe(0);
    expect(marks.normal.count).toBe(3); // two stations and the data centre
    expect(marks.lines.count).toBe(2);
  });

  it("tell down from silent by shape, and a root by size", () => {
    const alarms = new Map([["KH00002", { severity: "critical" } as AlarmView]]);
    const { abnormal } = buildMarks(main, new Map([["KH00001", "silent"], ["KH00002", "down"]]), alarms, palette);
    expect(abnormal.count).toBe(2);
    const [child, root] = [abnormal.data.subarray(0, POINT_FLOATS), abnormal.data.subarray(POINT_FLOATS)];
    expect(child[5]).toBe(Shape.hatched);
    expect(root[5]).toBe(Shape.diamond);
    expect(root[4] ?? 0).toBeGreaterThan(child[4] ?? 0);
  });
});
