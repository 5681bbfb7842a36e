/** The map's drawing and handling, outside the component tree: one frame when something changed. */
import type { AlarmView, AssetState } from "../api/types.ts";
import {
  fit,
  formatView,
  kilometres,
  limit,
  roundLength,
  segmentDistance2,
  toPlane,
  toScreen,
  zoomAt,
  type Point,
  type Size,
  type View,
} from "./geometry.ts";
import { place, type Box, type Label } from "./labels.ts";
import { buildMarks, slotOffset, type Colour, type Marks, type Palette } from "./marks.ts";
import { buildRegions, onLand, type Regions } from "./regions.ts";
import { openRenderer, type Frame, type Renderer } from "./renderer.ts";
import type { Scene, Sheet } from "./scene.ts";
import type { Rect } from "./view.ts";

export interface Hit {
  kind: "station" | "span" | "center";
  /** All assets at this spot, the one to open first. */
  ids: string[];
  name: string;
  /** CSS pixels from the map's upper left corner. */
  at: Point;
}

export interface Marker {
  id: string;
  element: HTMLElement;
  at: Point;
  inset: boolean;
  /** Written beside the marker where there is room; "" for none. */
  label: string;
}

export interface Parts {
  host: HTMLElement;
  base: HTMLCanvasElement;
  points: HTMLCanvasElement;
  labels: HTMLCanvasElement;
  scale: HTMLElement;
}

export interface Words {
  inset: string;
  sea: string;
}

export interface Events {
  view: (text: string | null) => void;
  hover: (hit: Hit | null) => void;
  open: (hit: Hit, touch: boolean) => void;
  ready: (drawn: boolean) => void;
}

interface Ink {
  sea: string;
  land: string;
  province: string;
  border: string;
  provinceBorder: string;
  coast: string;
  label: string;
  labelStrong: string;
  labelHalo: string;
  seaLabel: string;
  font: string;
  em: number;
}

type PlacedLabel = Label & { strong: boolean; size: number };

/** `#rrggbb` or `#rrggbbaa` to 0…1. */
function colour(text: string): Colour {
  const hex = /^#([0-9a-f]{6})([0-9a-f]{2})?$/i.exec(text.trim());
  const [, rgb = "808080", alpha = "ff"] = hex ?? [];
  const n = Number.parseInt(rgb, 16);
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255, Number.parseInt(alpha, 16) / 255];
}

export class MapController {
  private readonly parts: Parts;
  private readonly events: Events;
  private readonly renderer: Renderer | null;
  private readonly observer: ResizeObserver;
  private readonly pointers = new Map<number, Point>();
  private scene: Scene | null = null;
  private regions: Regions | null = null;
  private abnormal: ReadonlyMap<string, AssetState> = new Map();
  private alarms: ReadonlyMap<string, AlarmView> = new Map();
  private marks: { main: Marks; inset: Marks } | null = null;
  private markers: readonly Marker[] = [];
  private words: Words = { inset: "", sea: "" };
  private palette: Palette | null = null;
  private ink: Ink | null = null;
  private size: Size = { w: 0, h: 0 };
  private view: View | null = null;
  private wanted: View | null = null;
  private frame = 0;
  private moved = false;
  private pressed: { at: Point; touch: boolean } | null = null;
  private tell: number | undefined;

  constructor(parts: Parts, events: Events) {
    this.parts = parts;
    this.events = events;
    this.renderer = openRenderer(parts.points);
    this.observer = new ResizeObserver(() => {
      this.resize();
    });
    this.observer.observe(parts.host);
    this.resize();
    this.listen();
    if (!this.renderer) events.ready(false);
  }

  dispose(): void {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    window.clearTimeout(this.tell);
    this.renderer?.dispose();
  }

  setScene(scene: Scene): void {
    this.scene = scene;
    this.regions = buildRegions(scene.sites, scene.box);
    this.remark();
  }

  setState(abnormal: ReadonlyMap<string, AssetState>, alarms: ReadonlyMap<string, AlarmView>): void {
    this.abnormal = abnormal;
    this.alarms = alarms;
    this.remark();
  }

  setMarkers(markers: readonly Marker[]): void {
    this.markers = markers;
    this.schedule();
  }

  setWords(words: Words): void {
    this.words = words;
    this.schedule();
  }

  /** Colours come from the tokens of the theme in force. */
  setTheme(): void {
    const style = getComputedStyle(this.parts.host);
    const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    this.palette = {
      station: colour(token("map-station")),
      span: colour(token("map-span")),
      center: colour(token("map-center")),
      unseen: colour(token("map-unseen")),
      halo: colour(token("map-halo")),
      severity: {
        critical: colour(token("critical")),
        major: colour(token("major")),
        minor: colour(token("minor")),
        warning: colour(token("warning")),
        indeterminate: colour(token("indeterminate")),
      },
    };
    this.ink = {
      sea: token("map-sea"),
      land: token("map-land"),
      province: token("map-province"),
      border: token("map-border"),
      provinceBorder: token("map-province-border"),
      coast: token("map-coast"),
      label: token("map-label"),
      labelStrong: token("text"),
      labelHalo: token("map-label-halo"),
      seaLabel: token("map-sea-label"),
      font: style.fontFamily,
      em: Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14,
    };
    this.remark();
  }

  /** The view of the address; null shows the whole province. */
  setView(view: View | null): void {
    if (view && this.view && formatView(view) === formatView(this.view)) return;
    this.wanted = view;
    this.view = null;
    this.schedule();
  }

  zoom(factor: number, at?: Point): void {
    const view = this.current();
    if (!view) return;
    this.move(zoomAt(view, this.size, at ?? { x: this.size.w / 2, y: this.size.h / 2 }, factor));
  }

  pan(dx: number, dy: number): void {
    const view = this.current();
    if (view) this.move({ ...view, cx: view.cx + dx / view.k, cy: view.cy + dy / view.k });
  }

  showAll(): void {
    this.wanted = null;
    this.view = null;
    this.events.view(null);
    this.schedule();
  }

  private remark(): void {
    if (!this.scene || !this.palette) return;
    this.marks = {
      main: buildMarks(this.scene.main, this.abnormal, this.alarms, this.palette),
      inset: buildMarks(this.scene.inset, this.abnormal, this.alarms, this.palette),
    };
    this.schedule();
  }

  private whole(): View | null {
    const bounds = this.scene?.main.bounds;
    if (!bounds || this.size.w === 0) return null;
    const narrow = this.size.w < 520;
    return fit(bounds, this.size, { top: 22, right: narrow ? 60 : 20, bottom: narrow ? 46 : 52, left: 20 });
  }

  private current(): View | null {
    this.view ??= this.wanted ?? this.whole();
    return this.view;
  }

  private move(view: View): void {
    const [whole, bounds] = [this.whole(), this.scene?.main.bounds];
    if (!whole || !bounds) return;
    this.view = limit(view, whole, bounds);
    this.wanted = this.view;
    window.clearTimeout(this.tell);
    this.tell = window.setTimeout(() => {
      if (this.view) this.events.view(formatView(this.view));
    }, 300);
    this.events.hover(null);
    this.schedule();
  }

  private resize(): void {
    const { host, base, points, labels } = this.parts;
    const ratio = window.devicePixelRatio || 1;
    this.size = { w: host.clientWidth, h: host.clientHeight };
    for (const canvas of [base, points, labels]) {
      canvas.width = Math.max(1, Math.round(this.size.w * ratio));
      canvas.height = Math.max(1, Math.round(this.size.h * ratio));
    }
    this.view = null;
    // Drawn at once: a resized canvas is empty, and would flash.
    this.draw();
  }

  private schedule(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private insetRect(): Rect | null {
    if (!this.scene?.inset.bounds) return null;
    const w = Math.min(220, Math.max(104, this.size.w * 0.25));
    const h = w * 1.08;
    return { x: this.size.w - w - 10, y: this.size.h - h - 10, w, h };
  }

  private insetView(rect: Rect): View | null {
    const bounds = this.scene?.inset.bounds;
    if (!bounds) return null;
    return fit(bounds, rect, { top: 34, right: 18, bottom: 16, left: 18 });
  }

  private sheets(): { sheet: Sheet; marks: Marks; view: View; rect: Rect }[] {
    const view = this.current();
    if (!view || !this.scene || !this.marks) return [];
    const sheets = [
      { sheet: this.scene.main, marks: this.marks.main, view, rect: { x: 0, y: 0, ...this.size } },
    ];
    const rect = this.insetRect();
    const insetView = rect && this.insetView(rect);
    if (insetView) sheets.push({ sheet: this.scene.inset, marks: this.marks.inset, view: insetView, rect });
    return sheets;
  }

  /** How much closer than the whole province, as a factor. */
  private closeness(): number {
    const [view, whole] = [this.current(), this.whole()];
    return view && whole ? view.k / whole.k : 1;
  }

  private spread(): number {
    return Math.min(9, Math.max(0, (this.closeness() - 6) * 0.35));
  }

  private pointScale(): number {
    return Math.min(2.6, Math.max(0.9, this.closeness() ** 0.33));
  }

  private draw(): void {
    const { palette, ink } = this;
    if (!palette || !ink || this.size.w === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const sheets = this.sheets();
    if (sheets.length === 0) return;
    this.drawBase(ratio, ink);
    const frames: Frame[] = sheets.map(({ marks, view, rect }, index) => ({
      marks,
      view,
      rect,
      spread: index === 0 ? this.spread() : 0,
      scale: index === 0 ? this.pointScale() : 1.4,
    }));
    this.renderer?.draw(frames, this.size, ratio, palette);
    const boxes = this.placeMarkers();
    this.drawLabels(ratio, ink, boxes);
    this.drawScale();
    if (this.renderer) this.events.ready(true);
  }

  private drawBase(ratio: number, ink: Ink): void {
    const context = this.parts.base.getContext("2d");
    const view = this.current();
    if (!context || !view || !this.regions) return;
    const { w, h } = this.size;
    const { abroad, land, province, communeBorders, provinceBorder } = this.regions;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = ink.sea;
    context.fillRect(0, 0, w, h);
    const k = view.k * ratio;
    context.setTransform(k, 0, 0, k, (w / 2) * ratio - view.cx * k, (h / 2) * ratio - view.cy * k);
    context.lineJoin = "round";
    context.lineCap = "round";
    context.fillStyle = ink.land;
    context.fill(abroad);
    context.fill(land);
    context.save();
    context.clip(land);
    context.fillStyle = ink.province;
    context.fill(province);
    context.strokeStyle = ink.border;
    context.lineWidth = 1 / view.k;
    context.stroke(communeBorders);
    context.strokeStyle = ink.provinceBorder;
    context.lineWidth = 1.6 / view.k;
    context.stroke(provinceBorder);
    context.restore();
    context.strokeStyle = ink.coast;
    context.lineWidth = 1.1 / view.k;
    context.stroke(abroad);
    context.stroke(land);

    const rect = this.insetRect();
    if (!rect) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = ink.sea;
    context.fillRect(rect.x, rect.y, rect.w, rect.h);
    context.strokeStyle = ink.coast;
    context.lineWidth = 1;
    context.strokeRect(rect.x + 0.5, rect.y + 0.5, rect.w - 1, rect.h - 1);
  }

  /** Move the markers of alarms to where they belong; their boxes keep labels away. */
  private placeMarkers(): Box[] {
    const boxes: Box[] = [];
    const [main, inset] = this.sheets();
    for (const marker of this.markers) {
      const sheet = marker.inset ? inset : main;
      if (!sheet) continue;
      const at = toScreen(sheet.view, sheet.rect, marker.at);
      const shown = at.x >= 0 && at.y >= 0 && at.x <= sheet.rect.w && at.y <= sheet.rect.h;
      marker.element.hidden = !shown;
      if (!shown) continue;
      const x = at.x + sheet.rect.x;
      const y = at.y + sheet.rect.y;
      marker.element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
      boxes.push({ x: x - 10, y: y - 10, w: 20, h: 20 });
    }
    return boxes;
  }

  private drawLabels(ratio: number, ink: Ink, markers: readonly Box[]): void {
    const context = this.parts.labels.getContext("2d");
    const sheets = this.sheets();
    const main = sheets[0];
    if (!context || !main) return;
    const { w, h } = this.size;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    const obstacles: Box[] = [...markers];
    const insetRect = this.insetRect();
    if (insetRect) obstacles.push({ x: insetRect.x - 4, y: insetRect.y - 4, w: insetRect.w + 8, h: insetRect.h + 8 });
    // The legend and the controls lie over the map's corners.
    obstacles.push({ x: 0, y: h - 3.2 * ink.em, w: Math.min(w, 22 * ink.em), h: 3.2 * ink.em });
    obstacles.push({ x: w - 3.2 * ink.em, y: 0, w: 3.2 * ink.em, h: 9.5 * ink.em });

    const labels: PlacedLabel[] = [];
    const add = (
      text: string,
      at: Point,
      options: { size: number; strong: boolean; priority: number; anchors: Label["anchors"]; gap: number; room?: number },
    ): void => {
      const { size, strong, room = 0 } = options;
      context.font = `${strong ? 600 : 400} ${size}px ${ink.font}`;
      const width = context.measureText(text).width;
      labels.push({ text, ...at, w: width + 6 + room, h: size * 1.35 + room / 2, ...options });
    };
    const shown = (at: Point): boolean => at.x > -50 && at.y > -20 && at.x < w + 50 && at.y < h + 20;

    for (const [rank, marker] of this.markers.entries()) {
      if (marker.label === "" || marker.inset) continue;
      const at = toScreen(main.view, this.size, marker.at);
      if (!shown(at)) continue;
      add(marker.label, at, {
        size: ink.em * 0.86,
        strong: true,
        priority: 1e9 - rank,
        anchors: ["right", "left", "above", "below"],
        gap: 11,
      });
    }
    for (const center of main.sheet.centers) {
      const at = toScreen(main.view, this.size, center);
      obstacles.push({ x: at.x - 6, y: at.y - 6, w: 12, h: 12 });
      if (!shown(at)) continue;
      add(center.name, at, {
        size: ink.em * 0.82,
        strong: true,
        priority: 1e8,
        anchors: ["right", "above", "below", "left"],
        gap: 9,
      });
    }
    const close = this.closeness();
    for (const commune of main.sheet.places) {
      const at = toScreen(main.view, this.size, commune);
      if (!shown(at)) continue;
      add(commune.name, at, {
        size: ink.em * (commune.population > 60_000 ? 0.82 : 0.76),
        strong: false,
        priority: commune.population,
        anchors: ["center", "above", "below"],
        gap: 3,
        room: close < 2 ? 8 : 2,
      });
    }
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const write = (text: string, x: number, y: number, fill: string): void => {
      context.strokeStyle = ink.labelHalo;
      context.lineWidth = 3;
      context.strokeText(text, x, y);
      context.fillStyle = fill;
      context.fillText(text, x, y);
    };
    const area = { x: 2, y: 2, w: w - 4, h: h - 4 };
    for (const { label, box } of place(labels, obstacles, area)) {
      context.font = `${label.strong ? 600 : 400} ${label.size}px ${ink.font}`;
      context.textAlign = "center";
      write(label.text, box.x + box.w / 2, box.y + box.h / 2, label.strong ? ink.labelStrong : ink.label);
    }

    this.drawSea(context, ink);
    if (insetRect) {
      context.font = `600 ${ink.em * 0.76}px ${ink.font}`;
      context.textAlign = "center";
      write(this.words.inset, insetRect.x + insetRect.w / 2, insetRect.y + 14, ink.label);
    }
  }

  private drawSea(context: CanvasRenderingContext2D, ink: Ink): void {
    const [view, bounds] = [this.current(), this.scene?.main.bounds];
    if (!view || !bounds || this.size.w < 560) return;
    const spot = { x: bounds.x1 + 0.28, y: bounds.y0 + (bounds.y1 - bounds.y0) * 0.52 };
    if (!this.regions || onLand(this.regions.dry, spot)) return; // a province without a coast there
    const at = toScreen(view, this.size, spot);
    context.font = `italic 400 ${ink.em * 1.05}px ${ink.font}`;
    context.textAlign = "center";
    context.fillStyle = ink.seaLabel;
    context.letterSpacing = "0.18em";
    context.fillText(this.words.sea, at.x, at.y);
    context.letterSpacing = "0px";
  }

  private drawScale(): void {
    const view = this.current();
    if (!view) return;
    const perPixel = kilometres({ x: view.cx, y: view.cy }) / view.k;
    const length = roundLength(perPixel * 90);
    this.parts.scale.style.width = `${(length / perPixel).toFixed(0)}px`;
    this.parts.scale.dataset["km"] = length >= 1 ? `${length} km` : `${Math.round(length * 1000)} m`;
  }

  // Handling

  private local(event: { clientX: number; clientY: number }): Point {
    const { left, top } = this.parts.host.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  private listen(): void {
    const { labels } = this.parts;
    labels.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), this.local(event));
      },
      { passive: false },
    );
    labels.addEventListener("dblclick", (event) => {
      this.zoom(2, this.local(event));
    });
    labels.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      labels.setPointerCapture(event.pointerId);
      const at = this.local(event);
      this.pointers.set(event.pointerId, at);
      this.moved = this.pointers.size > 1;
      this.pressed = { at, touch: event.pointerType === "touch" };
    });
    labels.addEventListener("pointermove", (event) => {
      const at = this.local(event);
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") this.events.hover(this.pick(at, 9));
        return;
      }
      this.drag(event.pointerId, before, at);
    });
    labels.addEventListener("pointerleave", () => {
      if (this.pointers.size === 0) this.events.hover(null);
    });
    const release = (event: PointerEvent): void => {
      this.pointers.delete(event.pointerId);
      if (event.type !== "pointerup" || this.moved || !this.pressed) return;
      const { touch } = this.pressed;
      const hit = this.pick(this.local(event), touch ? 18 : 9);
      if (hit) this.events.open(hit, touch);
      else this.events.hover(null);
      this.pressed = null;
    };
    labels.addEventListener("pointerup", release);
    labels.addEventListener("pointercancel", release);
  }

  private drag(pointer: number, before: Point, at: Point): void {
    if (this.pressed && Math.hypot(at.x - this.pressed.at.x, at.y - this.pressed.at.y) > 4) this.moved = true;
    const other = [...this.pointers].find(([id]) => id !== pointer)?.[1];
    this.pointers.set(pointer, at);
    const view = this.current();
    if (!view || !this.moved) return;
    if (!other) {
      this.pan(before.x - at.x, before.y - at.y);
      return;
    }
    const apart = (p: Point): number => Math.max(10, Math.hypot(p.x - other.x, p.y - other.y));
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    const zoomed = zoomAt(view, this.size, middle, apart(at) / apart(before));
    const [dx, dy] = [(before.x - at.x) / 2, (before.y - at.y) / 2];
    this.move({ ...zoomed, cx: zoomed.cx + dx / zoomed.k, cy: zoomed.cy + dy / zoomed.k });
  }

  /** What is under the cursor: the abnormal first, then stations, then spans. */
  private pick(at: Point, reach: number): Hit | null {
    const sheets = this.sheets();
    const inset = sheets[1];
    const inInset =
      inset !== undefined &&
      at.x >= inset.rect.x &&
      at.y >= inset.rect.y &&
      at.x <= inset.rect.x + inset.rect.w &&
      at.y <= inset.rect.y + inset.rect.h;
    const found = inInset ? inset : sheets[0];
    if (!found) return null;
    const { sheet, view, rect } = found;
    const local = { x: at.x - rect.x, y: at.y - rect.y };
    const back = (p: Point): Point => {
      const there = toScreen(view, rect, p);
      return { x: there.x + rect.x, y: there.y + rect.y };
    };
    const plane = toPlane(view, rect, local);
    const near = (reach + 10) / view.k;
    const spread = inInset ? 0 : this.spread();

    let best: { score: number; hit: Hit } | null = null;
    const offer = (score: number, hit: Hit): void => {
      if (!best || score < best.score) best = { score, hit };
    };
    for (const center of sheet.centers) {
      const px = Math.hypot(center.x - plane.x, center.y - plane.y) * view.k;
      if (px < reach + 4) offer(px - 6, { kind: "center", ids: center.assets, name: center.name, at: back(center) });
    }
    let mast: { px: number; index: number } | null = null;
    for (const [index, station] of sheet.stations.entries()) {
      if (Math.abs(station.x - plane.x) > near || Math.abs(station.y - plane.y) > near) continue;
      const [ox, oy] = slotOffset(station);
      const there = toScreen(view, rect, station);
      let px = Math.hypot(there.x + ox * spread - local.x, there.y + oy * spread - local.y);
      if (this.abnormal.has(station.id)) px -= 4;
      if (px < reach && (!mast || px < mast.px)) mast = { px, index };
    }
    if (mast) {
      const station = sheet.stations[mast.index];
      if (station) {
        const same = sheet.stations.filter((s) => s.site === station.site && s.id !== station.id);
        const ids = [station.id, ...same.map((s) => s.id)];
        offer(mast.px, { kind: "station", ids, name: "", at: back(station) });
      }
    }
    for (const span of sheet.spans) {
      const px = Math.sqrt(segmentDistance2(plane, span.a, span.b)) * view.k;
      const bad = this.abnormal.has(span.id);
      if (px > (bad ? reach : reach * 0.6)) continue;
      const middle = { x: (span.a.x + span.b.x) / 2, y: (span.a.y + span.b.y) / 2 };
      offer(px + (bad ? 0 : 5), { kind: "span", ids: [span.id], name: "", at: at.x === 0 ? back(middle) : at });
    }
    return (best as { hit: Hit } | null)?.hit ?? null;
  }
}
