export type { Padding, Size, View } from "./geometry.ts";

/** A part of the canvas, in CSS pixels from its upper left corner. */
export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}
