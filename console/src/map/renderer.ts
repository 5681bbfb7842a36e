/**
 * Points and lines on a canvas: WebGL2, or the 2D canvas where a browser has no WebGL (a thin
 * client without a graphics card).
 */
import type { Rect, Size, View } from "./view.ts";
import { LINE_FLOATS, POINT_FLOATS, Shape, type Batch, type Marks, type Palette } from "./marks.ts";

export interface Frame {
  marks: Marks;
  view: View;
  /** Where on the canvas this sheet is shown, in CSS pixels. */
  rect: Rect;
  /** How far the stations of one mast stand apart, and how much larger points are, at this zoom. */
  spread: number;
  scale: number;
}

export interface Renderer {
  /** Draw the sheets one over the other. `size` is in CSS pixels. */
  draw: (frames: readonly Frame[], size: Size, ratio: number, palette: Palette) => void;
  dispose: () => void;
}

const COMMON = `#version 300 es
precision highp float;
uniform vec2 u_center;
uniform vec2 u_half;   // half of the sheet's size in CSS pixels
uniform float u_k;     // CSS pixels per unit of the plane
uniform float u_ratio; // device pixels per CSS pixel
vec2 pixels(vec2 p) { return (p - u_center) * u_k; }
vec4 clip(vec2 px) { return vec4(px.x / u_half.x, -px.y / u_half.y, 0.0, 1.0); }
`;

const POINT_VERTEX = `${COMMON}
in vec2 a_at; in vec2 a_offset; in float a_size; in float a_shape; in vec4 a_colour;
uniform float u_spread; uniform float u_scale;
out vec4 v_colour; flat out int v_shape; out float v_size;
void main() {
  gl_Position = clip(pixels(a_at) + a_offset * u_spread);
  v_size = a_size * u_scale * u_ratio;
  gl_PointSize = v_size + 4.0 * u_ratio;
  v_colour = a_colour; v_shape = int(a_shape + 0.5);
}`;

const POINT_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_colour; flat in int v_shape; in float v_size;
uniform vec4 u_halo; uniform float u_ratio;
out vec4 colour;
void main() {
  vec2 p = (gl_PointCoord - 0.5) * (v_size + 4.0 * u_ratio);
  float r = v_size * 0.5;
  float d; // distance to the shape's edge in device pixels, negative inside
  if (v_shape == 1) { vec2 q = abs(p) - r * 0.86; d = max(q.x, q.y); }
  else if (v_shape == 2 || v_shape == 5) d = (abs(p.x) + abs(p.y) - r * 1.12) * 0.7071;
  else if (v_shape == 3) { float y = p.y - r * 0.12; d = max(y - r * 0.72, abs(p.x) * 0.87 - (y + r) * 0.5); }
  else d = length(p) - r;
  float fill = clamp(0.5 - d, 0.0, 1.0);
  if (v_shape == 4) fill *= clamp(d + 1.2 * u_ratio + 0.5, 0.0, 1.0);
  if (v_shape == 5 && d < -1.1 * u_ratio) {
    float stripe = mod(p.x + p.y, 3.4 * u_ratio);
    fill *= stripe < 1.7 * u_ratio ? 1.0 : 0.18;
  }
  float halo = clamp(0.5 - (d - 0.9 * u_ratio), 0.0, 1.0) * u_halo.a;
  float alpha = fill * v_colour.a;
  vec3 rgb = mix(u_halo.rgb, v_colour.rgb, halo > 0.0 ? alpha : 1.0);
  float a = max(alpha, halo);
  colour = vec4(rgb * a, a);
}`;

const LINE_VERTEX = `${COMMON}
in vec2 a_corner; in vec4 a_ends; in float a_width; in float a_dash; in vec4 a_colour;
out vec4 v_colour; out float v_across; out float v_half; out float v_along; out float v_dash;
void main() {
  vec2 from = pixels(a_ends.xy), to = pixels(a_ends.zw);
  vec2 along = to - from;
  float length_ = length(along);
  vec2 unit = length_ > 0.0 ? along / length_ : vec2(1.0, 0.0);
  v_half = a_width * 0.5;
  float reach = v_half + 1.0;
  vec2 at = mix(from, to, a_corner.x) + vec2(-unit.y, unit.x) * a_corner.y * reach;
  v_across = a_corner.y * reach; v_along = a_corner.x * length_; v_dash = a_dash;
  v_colour = a_colour;
  gl_Position = clip(at);
}`;

const LINE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_colour; in float v_across; in float v_half; in float v_along; in float v_dash;
uniform float u_ratio;
out vec4 colour;
void main() {
  float a = clamp((v_half - abs(v_across)) * u_ratio + 0.5, 0.0, 1.0) * v_colour.a;
  if (v_dash > 0.5 && mod(v_along, 7.0) > 4.0) a = 0.0;
  colour = vec4(v_colour.rgb * a, a);
}`;

function compile(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("no shader");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true) {
    throw new Error(gl.getProgramInfoLog(program) ?? "shaders do not link");
  }
  return program;
}

class Gl implements Renderer {
  private readonly gl: WebGL2RenderingContext;
  private readonly points: WebGLProgram;
  private readonly lines: WebGLProgram;
  private readonly corners: WebGLBuffer;
  private readonly kept = new Map<Batch, { buffer: WebGLBuffer; array: WebGLVertexArrayObject; used: boolean }>();

  constructor(gl: WebGL2RenderingContext) {
    this.gl = gl;
    this.points = compile(gl, POINT_VERTEX, POINT_FRAGMENT);
    this.lines = compile(gl, LINE_VERTEX, LINE_FRAGMENT);
    this.corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, -1, 1, -1, 0, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  draw(frames: readonly Frame[], size: Size, ratio: number, palette: Palette): void {
    const { gl } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    for (const kept of this.kept.values()) kept.used = false;
    for (const { marks, view, rect, spread, scale } of frames) {
      const area = [
        Math.round(rect.x * ratio),
        Math.round((size.h - rect.y - rect.h) * ratio),
        Math.round(rect.w * ratio),
        Math.round(rect.h * ratio),
      ] as const;
      gl.viewport(...area);
      gl.scissor(...area);
      for (const program of [this.lines, this.points]) {
        gl.useProgram(program);
        gl.uniform2f(gl.getUniformLocation(program, "u_center"), view.cx, view.cy);
        gl.uniform2f(gl.getUniformLocation(program, "u_half"), rect.w / 2, rect.h / 2);
        gl.uniform1f(gl.getUniformLocation(program, "u_k"), view.k);
        gl.uniform1f(gl.getUniformLocation(program, "u_ratio"), ratio);
      }
      gl.useProgram(this.lines);
      this.bind(marks.lines, this.lines, true);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, marks.lines.count);
      gl.useProgram(this.points);
      const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(this.points, name);
      gl.uniform1f(at("u_spread"), spread);
      gl.uniform1f(at("u_scale"), scale);
      gl.uniform4f(at("u_halo"), 0, 0, 0, 0);
      this.bind(marks.normal, this.points, false);
      gl.drawArrays(gl.POINTS, 0, marks.normal.count);
      gl.uniform1f(at("u_scale"), Math.min(scale, 1.35));
      gl.uniform4f(at("u_halo"), ...palette.halo);
      this.bind(marks.abnormal, this.points, false);
      gl.drawArrays(gl.POINTS, 0, marks.abnormal.count);
    }
    for (const [batch, kept] of this.kept) {
      if (kept.used) continue;
      gl.deleteBuffer(kept.buffer);
      gl.deleteVertexArray(kept.array);
      this.kept.delete(batch);
    }
    gl.bindVertexArray(null);
  }

  /** Bind a batch, uploading it the first time it is seen. */
  private bind(batch: Batch, program: WebGLProgram, line: boolean): void {
    const { gl } = this;
    const known = this.kept.get(batch);
    if (known) {
      known.used = true;
      gl.bindVertexArray(known.array);
      return;
    }
    const buffer = gl.createBuffer();
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const attribute = (name: string, length: number, stride: number, offset: number, divisor: number): void => {
      const at = gl.getAttribLocation(program, name);
      if (at < 0) return;
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, length, gl.FLOAT, false, stride * 4, offset * 4);
      gl.vertexAttribDivisor(at, divisor);
    };
    if (line) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
      attribute("a_corner", 2, 2, 0, 0);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, batch.data, gl.STATIC_DRAW);
    if (line) {
      attribute("a_ends", 4, LINE_FLOATS, 0, 1);
      attribute("a_width", 1, LINE_FLOATS, 4, 1);
      attribute("a_dash", 1, LINE_FLOATS, 5, 1);
      attribute("a_colour", 4, LINE_FLOATS, 6, 1);
    } else {
      attribute("a_at", 2, POINT_FLOATS, 0, 0);
      attribute("a_offset", 2, POINT_FLOATS, 2, 0);
      attribute("a_size", 1, POINT_FLOATS, 4, 0);
      attribute("a_shape", 1, POINT_FLOATS, 5, 0);
      attribute("a_colour", 4, POINT_FLOATS, 6, 0);
    }
    this.kept.set(batch, { buffer, array, used: true });
  }

  dispose(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

class Flat implements Renderer {
  private readonly context: CanvasRenderingContext2D;

  constructor(context: CanvasRenderingContext2D) {
    this.context = context;
  }

  draw(frames: readonly Frame[], size: Size, ratio: number, palette: Palette): void {
    const { context } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.w, size.h);
    for (const frame of frames) {
      const { rect } = frame;
      context.save();
      context.beginPath();
      context.rect(rect.x, rect.y, rect.w, rect.h);
      context.clip();
      context.translate(rect.x + rect.w / 2, rect.y + rect.h / 2);
      this.lines(frame);
      this.points(frame.marks.normal, frame, frame.scale, null);
      this.points(frame.marks.abnormal, frame, Math.min(frame.scale, 1.35), css(palette.halo));
      context.restore();
    }
  }

  private lines({ marks, view, rect }: Frame): void {
    const { context } = this;
    const { data } = marks.lines;
    for (let i = 0; i < data.length; i += LINE_FLOATS) {
      const [ax = 0, ay = 0, bx = 0, by = 0, width = 1, dash = 0, ...colour] = data.subarray(i, i + LINE_FLOATS);
      const x0 = (ax - view.cx) * view.k;
      const y0 = (ay - view.cy) * view.k;
      const x1 = (bx - view.cx) * view.k;
      const y1 = (by - view.cy) * view.k;
      if (Math.min(Math.abs(x0), Math.abs(x1)) > rect.w || Math.min(Math.abs(y0), Math.abs(y1)) > rect.h) continue;
      context.strokeStyle = css(colour);
      context.lineWidth = width;
      context.setLineDash(dash > 0.5 ? [4, 3] : []);
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.stroke();
    }
    context.setLineDash([]);
  }

  private points(batch: Batch, { view, rect, spread }: Frame, scale: number, halo: string | null): void {
    const { context } = this;
    const { data } = batch;
    for (let i = 0; i < data.length; i += POINT_FLOATS) {
      const [px = 0, py = 0, ox = 0, oy = 0, full = 0, shape = 0, ...colour] = data.subarray(i, i + POINT_FLOATS);
      const x = (px - view.cx) * view.k + ox * spread;
      const y = (py - view.cy) * view.k + oy * spread;
      if (Math.abs(x) > rect.w / 2 + full || Math.abs(y) > rect.h / 2 + full) continue;
      const r = (full * scale) / 2;
      context.beginPath();
      if (shape === Shape.square) context.rect(x - r * 0.86, y - r * 0.86, r * 1.72, r * 1.72);
      else if (shape === Shape.diamond || shape === Shape.hatched) {
        for (const [dx, dy] of [[0, -1.12], [1.12, 0], [0, 1.12], [-1.12, 0]] as const) {
          context.lineTo(x + dx * r, y + dy * r);
        }
      } else if (shape === Shape.triangle) {
        for (const [dx, dy] of [[0, -0.9], [1, 0.84], [-1, 0.84]] as const) context.lineTo(x + dx * r, y + dy * r);
      } else context.arc(x, y, r, 0, 2 * Math.PI);
      context.closePath();
      if (halo !== null) {
        context.strokeStyle = halo;
        context.lineWidth = 1.8;
        context.stroke();
      }
      if (shape === Shape.ring || shape === Shape.hatched) {
        context.strokeStyle = css(colour);
        context.lineWidth = 1.2;
        context.stroke();
      } else {
        context.fillStyle = css(colour);
        context.fill();
      }
    }
  }

  dispose(): void {
    // Nothing is held.
  }
}

function css([r = 0, g = 0, b = 0, a = 1]: readonly number[]): string {
  return `rgb(${Math.round(r * 255)} ${Math.round(g * 255)} ${Math.round(b * 255)} / ${a})`;
}

/** The best renderer this browser has for the canvas; null when it has none. */
export function openRenderer(canvas: HTMLCanvasElement): Renderer | null {
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true });
  if (gl) {
    try {
      return new Gl(gl);
    } catch {
      return null; // the canvas is taken by WebGL now
    }
  }
  const flat = canvas.getContext("2d");
  return flat ? new Flat(flat) : null;
}
