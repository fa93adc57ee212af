/** Something that keeps the program from working as it should. */
export interface Problem {
  readonly what: string;
  /** What to do. */
  readonly remedy: string;
}

/** What an error says, on one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
