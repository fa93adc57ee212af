/** Calls that the library refuses, as a table: what is called, and which error it is to be. */
import { expect, test } from "bun:test";

/** "Class: message", and the call; its title is the message. */
export type Refusal<S> = readonly [error: string, call: (scene: S) => unknown];

/** What a caller without TypeScript may give. */
export const any = (value: unknown): any => value;

/** A test for each, whether it throws at once or later. */
export function testRefusals<S>(refusals: readonly Refusal<S>[], scene: () => S): void {
  test.each([...refusals])("%s", async (error, call) => {
    expect(await thrown(() => call(scene()))).toBe(error);
  });
}

async function thrown(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "nothing was thrown";
}
