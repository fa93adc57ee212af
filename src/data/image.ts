/** An image that can't be used. The loader counts it, names it and goes on. */
export class BadImage extends Error {
  override readonly name = "BadImage";
}
