/** Runs a command on several ranks, if an MPI launcher started them. */
import { RankError } from "../errors.ts";
import { openRanks, type Ranks } from "../ranks/ranks.ts";

/** Time for the rank that reports an error to print it. */
const TELLING_MS = 2000;

/** Does a command's work together with the other ranks, if there are any. An error on one of them ends all. */
export async function withRanks(work: (ranks: Ranks) => Promise<number>): Promise<number> {
  const ranks = await openRanks();
  try {
    const code = await work(ranks);
    await ranks.close();
    return code;
  } catch (error) {
    const told = ranks.fail(error);
    if (told instanceof RankError && told.said) {
      // When this process exits, the launcher ends all: the rank that prints the error needs a moment.
      await Bun.sleep(TELLING_MS);
      return 1;
    }
    throw told;
  }
}
