/** Brightness, saturation and hue as one matrix of colours. */

/** What red, green and blue add to the brightness that is seen (ITU-R BT.601), as in torchvision's grey. */
const LUMA = [0.299, 0.587, 0.114] as const;
/** U and V are blue and red less luma, in these units. */
const [BLUE, RED] = [0.492, 0.877] as const;

/**
 * The 3 × 3 matrix, row after row, that multiplies RGB by `brightness`, its distance from grey by `saturation`, and turns
 * the plane of colours of one luma by `turn`, in turns. Grey stays grey, and but for `brightness` no luma changes. In
 * place of torchvision's HSV, whose hue is no linear function of the colours, the turn is that of the U and V of analogue
 * television. Colours may leave 0 … 255; they are not clamped, as those that colour noise shifts are not.
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
