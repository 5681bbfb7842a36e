declare module "virtual:coast" {
  /** West, south, east, north of what was cut out, in degrees. */
  export const box: readonly [number, number, number, number];
  /** Land, as rings of [longitude, latitude]; the last point is not repeated. */
  export const rings: readonly (readonly [number, number])[][];
  /** The same of the neighbouring countries. */
  export const abroad: readonly (readonly [number, number])[][];
}
