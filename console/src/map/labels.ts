/** Labels that do not collide: the more important is placed first, the rest give way. */

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export type Anchor = "center" | "right" | "left" | "above" | "below";

export interface Label {
  text: string;
  /** Where it belongs, in pixels. */
  x: number;
  y: number;
  w: number;
  h: number;
  /** The greater goes first; equal ones in the order given, so that nothing flickers. */
  priority: number;
  /** Tried in this order. */
  anchors: readonly Anchor[];
  /** Distance from the point to the text's edge, for all anchors but the centre. */
  gap: number;
}

export interface Placed<L extends Label> {
  label: L;
  box: Box;
}

export function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

export function boxAt({ x, y, w, h, gap }: Label, anchor: Anchor): Box {
  switch (anchor) {
    case "center":
      return { x: x - w / 2, y: y - h / 2, w, h };
    case "right":
      return { x: x + gap, y: y - h / 2, w, h };
    case "left":
      return { x: x - gap - w, y: y - h / 2, w, h };
    case "above":
      return { x: x - w / 2, y: y - gap - h, w, h };
    case "below":
      return { x: x - w / 2, y: y + gap, w, h };
  }
}

const within = (box: Box, area: Box): boolean =>
  box.x >= area.x && box.y >= area.y && box.x + box.w <= area.x + area.w && box.y + box.h <= area.y + area.h;

/** The labels that fit inside `area` and overlap neither each other nor an obstacle. */
export function place<L extends Label>(labels: readonly L[], obstacles: readonly Box[], area: Box): Placed<L>[] {
  const taken = [...obstacles];
  const placed: Placed<L>[] = [];
  for (const label of [...labels].sort((a, b) => b.priority - a.priority)) {
    for (const anchor of label.anchors) {
      const box = boxAt(label, anchor);
      if (!within(box, area) || taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      placed.push({ label, box });
      break;
    }
  }
  return placed;
}
