/** What Bun adds to the DOM's types, for files that pages share with it. */
interface Worker {
  ref(): void;
  unref(): void;
}
