/**
 * Ten outlines as signed distance functions: negative inside, zero on the outline, positive outside. Figures are about
 * as large as the unit circle. x runs right, y down; figures with a direction point up.
 */

export interface Figure {
  readonly name: string;
  readonly distance: (x: number, y: number) => number;
}

/** Math.hypot without its overflow handling, which makes it ten times slower. */
const length = (x: number, y: number) => Math.sqrt(x * x + y * y);

const circle = (cx: number, cy: number, radius: number) => (x: number, y: number) => length(x - cx, y - cy) - radius;

/** The distance to a bar with round ends. */
export function segment(x0: number, y0: number, x1: number, y1: number, halfWidth: number) {
  const [ex, ey] = [x1 - x0, y1 - y0];
  const squared = ex * ex + ey * ey;
  return (x: number, y: number): number => {
    const along = Math.min(1, Math.max(0, ((x - x0) * ex + (y - y0) * ey) / squared));
    return length(x - x0 - along * ex, y - y0 - along * ey) - halfWidth;
  };
}

/** A closed polygon: the distance to the nearest edge, with its sign from how often a ray crosses the outline. */
function polygon(...corners: readonly (readonly [number, number])[]) {
  // Six numbers per edge in one array: this is the inner loop of drawing.
  const edges = Float64Array.from(
    corners.flatMap(([x0, y0], i) => {
      const [x1, y1] = corners[(i + 1) % corners.length]!;
      const [ex, ey] = [x1 - x0, y1 - y0];
      return [x0, y0, y1, ex, ey, 1 / (ex * ex + ey * ey)];
    }),
  );
  return (x: number, y: number): number => {
    let nearest = Infinity;
    let inside = false;
    for (let e = 0; e < edges.length; e += 6) {
      const y0 = edges[e + 1]!;
      const ex = edges[e + 3]!;
      const ey = edges[e + 4]!;
      const px = x - edges[e]!;
      const py = y - y0;
      const along = Math.min(1, Math.max(0, (px * ex + py * ey) * edges[e + 5]!));
      const dx = px - along * ex;
      const dy = py - along * ey;
      nearest = Math.min(nearest, dx * dx + dy * dy);
      if (y0 > y !== edges[e + 2]! > y && px < (ex * py) / ey) inside = !inside;
    }
    return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
  };
}

/** `points` corners on the unit circle and, for a star, as many between them on one of radius `inner`. */
function regular(points: number, inner?: number): readonly (readonly [number, number])[] {
  const corners = inner === undefined ? points : 2 * points;
  return Array.from({ length: corners }, (_, i) => {
    const radius = inner !== undefined && i % 2 === 1 ? inner : 1;
    const angle = (2 * Math.PI * i) / corners;
    return [radius * Math.sin(angle), -radius * Math.cos(angle)] as const;
  });
}

/** After I. Quilez, "2D distance functions". */
function heart(x: number, y: number): number {
  const scale = 1.55;
  const [px, py] = [Math.abs(x) / scale, (0.85 - y) / scale];
  if (px + py > 1) return (length(px - 0.25, py - 0.75) - Math.SQRT2 / 4) * scale;
  const diagonal = 0.5 * Math.max(px + py, 0);
  const nearest = Math.min(length(px, py - 1), length(px - diagonal, py - diagonal));
  return nearest * Math.sign(px - py) * scale;
}

const ringLine = circle(0, 0, 0.72);
const moon = circle(0, 0, 1);
const bite = circle(0.52, -0.12, 0.78);
const [leafLeft, leafRight] = [circle(-0.75, 0, 1.25), circle(0.75, 0, 1.25)];

export const FIGURES: readonly Figure[] = [
  {
    name: "arrow",
    distance: polygon([0, -1], [0.85, -0.1], [0.32, -0.1], [0.32, 1], [-0.32, 1], [-0.32, -0.1], [-0.85, -0.1]),
  },
  { name: "circle", distance: circle(0, 0, 0.92) },
  { name: "crescent", distance: (x, y) => Math.max(moon(x, y), -bite(x, y)) },
  {
    name: "cross",
    distance: polygon(
      [-0.3, -0.97],
      [0.3, -0.97],
      [0.3, -0.3],
      [0.97, -0.3],
      [0.97, 0.3],
      [0.3, 0.3],
      [0.3, 0.97],
      [-0.3, 0.97],
      [-0.3, 0.3],
      [-0.97, 0.3],
      [-0.97, -0.3],
      [-0.3, -0.3],
    ),
  },
  { name: "heart", distance: heart },
  { name: "leaf", distance: (x, y) => Math.max(leafLeft(x, y), leafRight(x, y)) },
  { name: "ring", distance: (x, y) => Math.abs(ringLine(x, y)) - 0.2 },
  { name: "square", distance: polygon([-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]) },
  { name: "star", distance: polygon(...regular(5, 0.42)) },
  { name: "triangle", distance: polygon(...regular(3)) },
];
