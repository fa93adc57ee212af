/** Something that keeps the program from working as it should. */
export interface Problem {
  readonly what: string;
  /** How to fix it. */
  readonly remedy: string;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
