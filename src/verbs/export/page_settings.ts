/** What `export` writes into the page for its script. */
export interface PageSettings {
  /** Answers are unsure where the first class has less. */
  readonly atLeast?: number;
}
