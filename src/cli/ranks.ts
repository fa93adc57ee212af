/** Commands that several ranks run together, where a launcher of MPI started them. */
import { RankError } from "../errors.ts";
import { openRanks, type Ranks } from "../ranks/ranks.ts";

/** What has gone wrong is printed within this time by the rank that says it. */
const TELLING_MS = 2000;

/** Does a command's work with the other ranks, if there are any. What goes wrong on one of them ends all. */
export async function withRanks(work: (ranks: Ranks) => Promise<number>): Promise<number> {
  const ranks = await openRanks();
  try {
    const code = await work(ranks);
    await ranks.close();
    return code;
  } catch (error) {
    const told = ranks.fail(error);
    if (told instanceof RankError && told.said) {
      // When this process ends, all do: whoever says it needs a moment.
      await Bun.sleep(TELLING_MS);
      return 1;
    }
    throw told;
  }
}
