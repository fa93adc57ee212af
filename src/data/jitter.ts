/** Brightness, saturation and hue changes as one colour matrix. */

/** The weights of red, green and blue in luma (ITU-R BT.601), as in torchvision's greyscale. */
const LUMA = [0.299, 0.587, 0.114] as const;
/** U = 0.492 (B − Y), V = 0.877 (R − Y). */
const [BLUE, RED] = [0.492, 0.877] as const;

/**
 * The 3 × 3 matrix, row by row, that scales RGB by `brightness` and its distance from grey by `saturation`, and rotates
 * the hue by `turn` (in turns). Grey stays grey, and only `brightness` changes luma. The hue is rotated in the UV plane
 * of analogue television instead of torchvision's HSV, whose hue is not linear in the colours. Colours may leave
 * 0 … 255 and are not clamped, as with colour noise.
 */
export function jitterMatrix(brightness: number, saturation: number, turn: number): number[] {
  const [cos, sin] = [Math.cos(2 * Math.PI * turn), Math.sin(2 * Math.PI * turn)];
  const columns = [0, 1, 2].map((k) => {
    const luma = LUMA[k]!;
    const [u, v] = [BLUE * ((k === 2 ? 1 : 0) - luma), RED * ((k === 0 ? 1 : 0) - luma)];
    const blue = luma + (saturation * (cos * u - sin * v)) / BLUE;
    const red = luma + (saturation * (sin * u + cos * v)) / RED;
    return [red, (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue];
  });
  return [0, 1, 2].flatMap((c) => columns.map((column) => brightness * column[c]!));
}
