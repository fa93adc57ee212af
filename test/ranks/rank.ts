/** What each rank runs in ranks.test.ts: one of several ways to go on, and to end. */
import { openRanks, whileBlocking } from "../../src/ranks/ranks.ts";

const ranks = await openRanks();
const { rank, size } = ranks;
const print = (value: unknown) => console.log(JSON.stringify({ rank, ...(value as object) }));

switch (process.argv[2]) {
  case "all": {
    // Different sizes, and each rank ready at another time: orders keep their order.
    const [small, large] = [new Float32Array(3).fill(rank + 1), new Float64Array(100_000).fill(rank + 1)];
    const late = Bun.sleep(20 * rank).then(() => [small]);
    const early = Bun.sleep(20 * (size - rank)).then(() => [large]);
    await Promise.all([ranks.sum(late), ranks.sum(early)]);
    // One that blocks goes before one that is not yet there.
    const [wanted, blocked] = [Promise.withResolvers<readonly Float32Array[]>(), Float64Array.of(rank, 1)];
    const last = ranks.sum(wanted.promise);
    ranks.sumNow(blocked);
    wanted.resolve([Float32Array.of(rank)]);
    await last;
    const texts = (await ranks.gather(Buffer.from("x".repeat(rank)))).map((bytes) => Buffer.from(bytes).toString());
    const shared = await ranks.share(() => ({ by: rank }));
    const given = new Float32Array(5).fill(rank + 7);
    await ranks.broadcast([given]);
    // Each has two numbers; together and summed by blocks.
    const collected = new Float32Array(2 * size);
    await ranks.collect(Promise.resolve(Float32Array.of(rank, 10 * rank)), collected);
    const block = new Float32Array(2);
    await ranks.sumBlock(Promise.resolve(collected.map((value, i) => value + i)), block);
    const sums = { collected: [...collected], block: [...block], sentBytes: ranks.sentBytes };
    print({
      ...sums,
      size,
      small: [...small],
      blocked: [...blocked],
      large: large.at(-1),
      texts,
      shared,
      given: [...given],
      local: ranks.local,
    });
    break;
  }
  case "fail":
    if (rank === 1) {
      process.stderr.write(`${(ranks.fail(new Error("no more")) as Error).message}\n`);
      process.exit(1);
    }
    await ranks.gather(new Uint8Array(1)).catch(() => process.exit(1));
    break;
  case "fail-blocked":
    if (rank === 1) {
      process.stderr.write(`${(ranks.fail(new Error("no more")) as Error).message}\n`);
      process.exit(1);
    }
    await whileBlocking(ranks, () => ranks.sumNow(new Float64Array(1))).catch((error: Error) => {
      print({ message: error.message });
      process.exit(1);
    });
    break;
  case "silent": {
    // Its main thread never comes back, as in a loop that never ends, but leaves the machine to others.
    if (rank === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    const start = performance.now();
    await ranks.gather(new Uint8Array(1)).catch((error: Error) => {
      print({ message: error.message, seconds: (performance.now() - start) / 1000 });
    });
    process.exit(1);
  }
}
await ranks.close();
process.exit(0);
