/** Device faults: lost during a step, before a checkpoint, or repeatedly; and out of memory. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { WgpuBackend } from "../../src/devices/wgpu/backend.ts";
import { Buffers } from "../../src/devices/wgpu/buffers.ts";
import { DeviceLostError, DeviceMemoryError } from "../../src/errors.ts";
import type { StartRecord } from "../../src/runs/records.ts";
import type { TrainOptions } from "../../src/runs/train_options.ts";
import type { TrainEvent } from "../../src/training/events.ts";
import type { Session } from "../../src/training/session.ts";
import { train, trainWatched } from "../../src/verbs/train/train.ts";
import { backends } from "../support/backends.ts";
import { epochsOf, tiny } from "../support/cli.ts";
import { expectSameRun } from "../support/faults.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

// A software GPU is slow on a busy machine.
setDefaultTimeout(300_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const at = (name: string) => join(folder.path, name);
const data = at("photos");
const { missing } = backends.find(({ name }) => name === "wgpu")!;
const skip = missing !== undefined && !(process.env.REQUIRE_BACKENDS ?? "").includes("wgpu");

beforeAll(() => makePhotos(data, 2, 9));

describe.skipIf(skip)(`a lost GPU${skip ? ` (skipped: ${missing})` : ""}`, () => {
  const { threads: _, ...rest } = tiny;
  const options = { ...rest, data, device: "gpu:0", tune: false, batch: 8, epochs: 2, augment: "mirror,colour" };

  beforeAll(async () => {
    await train({ ...options, out: at("whole") });
  });

  const lose = ({ model }: Pick<Session, "model">) => (model.parameters[0]!.backend as WgpuBackend).lose();

  /** Trains, and loses the device after the steps that `isTime` chooses, counted from 1 over all devices. */
  async function losing(name: string, isTime: (step: number) => boolean, more: TrainOptions = options) {
    const events: TrainEvent[] = [];
    let steps = 0;
    const watcher = { afterStep: async (session: Session) => void (isTime(++steps) && lose(session)) };
    const training = trainWatched(
      {
        ...more,
        out: at(name),
        onEvent: (event) => void events.push(event),
      },
      [watcher],
    );
    const error = await training.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    return { error, warnings: events.filter((event) => event.type === "warning").map(({ line }) => line), events };
  }

  const LOST = /: the device is lost \(driver reset, .*\).*: reopening it, and continuing from the last save$/;

  test("in the first step: training starts over, to the same bytes", async () => {
    const { error, warnings } = await losing("first", (step) => step === 1);
    expect(error).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(LOST)]);
    expectSameRun(at("first"), at("whole"));
  });

  test("in a later step: training continues from the last save, to the same bytes", async () => {
    const { error, warnings, events } = await losing("later", (step) => step === 3);
    expect(error).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(LOST)]);
    const starts = events.filter((event) => event.type === "start");
    expect(starts.map(({ from }) => from?.epoch)).toEqual([undefined, expect.any(Number)]);
    expectSameRun(at("later"), at("whole"));
  });

  test("before the second save: the first stays good", async () => {
    let [validations, lost] = [0, false];
    let session: Session | undefined;
    const watcher = { afterStep: async (now: Session) => void (session = now) };
    const warnings: string[] = [];
    const report = (event: TrainEvent) => {
      if (event.type === "warning") warnings.push(event.line);
      // Everything is computed; next the weights are read for the checkpoint.
      if (lost || event.type !== "validate" || event.done < event.total || ++validations < 2) return;
      lost = true;
      lose(session!);
    };
    await trainWatched({ ...options, out: at("saving"), onEvent: report }, [watcher]);
    expect(warnings).toEqual([expect.stringMatching(LOST)]);
    expectSameRun(at("saving"), at("whole"));
  });

  test("after the number of epochs was chosen by time: it stays", async () => {
    const { error } = await losing("timed", (step) => step === 3, { ...options, epochs: 3, minutes: 1e-4 });
    expect(error).toBeUndefined();
    expect(epochsOf(at("timed")).length).toBe(1);
  });

  test("a second time: one line, and the run can be resumed", async () => {
    const { error, warnings } = await losing("twice", (step) => step >= 3);
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(error).toMatchObject({ exitCode: 1 });
    expect(error!.message).toMatch(
      /device is lost .*, for the second time: continue with resume: ".*twice", on another device/,
    );
    expect(error!.message).not.toContain("\n");
    expect(warnings).toEqual([expect.stringMatching(LOST)]);
    await train({ resume: at("twice") });
    expectSameRun(at("twice"), at("whole"));
  });
});

describe("a device out of memory: the proposed batch fits", () => {
  const restore: (() => void)[] = [];
  afterEach(() => restore.splice(0).forEach((undo) => undo()));

  /** Lets no WebAssembly memory grow beyond a limit. */
  function limitMemory(bytes: number): void {
    const grow = WebAssembly.Memory.prototype.grow;
    WebAssembly.Memory.prototype.grow = function (pages) {
      if (this.buffer.byteLength + pages * 65536 > bytes) throw new RangeError("Out of memory");
      return grow.call(this, pages);
    };
    restore.push(() => (WebAssembly.Memory.prototype.grow = grow));
  }

  async function proposed(options: TrainOptions): Promise<number> {
    const error = await train(options).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DeviceMemoryError);
    const { message, exitCode } = error as DeviceMemoryError;
    expect(exitCode).toBe(1);
    expect(message).toMatch(/use a smaller batch: try batch: \d+$/);
    expect(message).not.toContain("\n");
    return Number(/try batch: (\d+)/.exec(message)![1]);
  }

  test("the cpu, whose memory can't grow", async () => {
    limitMemory(24 * 2 ** 20);
    cpSync(data, at("many"), { recursive: true });
    await makePhotos(at("many"), 2, 150);
    const options = { ...tiny, data: at("many"), epochs: 1, batch: 270 };
    const batch = await proposed({ ...options, out: at("cpu-large") });
    expect(batch).toBeWithin(1, 270);
    await train({ ...options, batch, out: at("cpu-small") });
  });

  describe("a batch that nobody asked for is cut, and the training is as if the parts had been", () => {
    const { batch: _, ...unasked } = { ...tiny, limit: 128, epochs: 1 };
    const cut = async (name: string) => {
      const [warnings, starts]: [string[], StartRecord[]] = [[], []];
      const onEvent = (event: TrainEvent) => {
        if (event.type === "warning") warnings.push(event.line);
        if (event.type === "start") starts.push(event);
      };
      await train({ ...unasked, out: at(name), onEvent });
      const { batch, accumulate = 1 } = starts.at(-1)!;
      expect([batch < 128, batch * accumulate]).toEqual([true, 128]);
      expect(warnings.length).toBe(starts.length === 1 ? 1 : starts.length - 1);
      expect(warnings.at(-1)).toEndWith(`in ${accumulate} parts of ${batch}`);
      restore.splice(0).forEach((undo) => undo());
      await train({ ...unasked, batch, accumulate, out: at(`${name}-asked`) });
      const [own, asked] = [name, `${name}-asked`].map((run) => readFileSync(join(at(run), "last.safetensors")));
      expect(own!.equals(asked!)).toBe(true);
    };

    test("before it begins, where the memory is known", async () => {
      const machine = spyOn(process, "constrainedMemory").mockReturnValue(16 * 2 ** 20);
      restore.push(() => machine.mockRestore());
      await expect(train({ ...unasked, batch: 128, out: at("asked") })).rejects.toThrow(/use batch: \d+ or less$/);
      await cut("known");
    });

    test("when the memory is full", async () => {
      limitMemory(12 * 2 ** 20);
      await cut("full");
    });
  });

  test.skipIf(skip)(`a GPU that refuses to allocate${skip ? ` (skipped: ${missing})` : ""}`, async () => {
    const allocate = Buffers.prototype.allocate;
    const LIMIT = 8 * 2 ** 20;
    Buffers.prototype.allocate = function (type, length) {
      if (this.statistics().bytes + 4 * length > LIMIT)
        throw new DeviceMemoryError("GPU: out of memory: use a smaller batch");
      return allocate.call(this, type, length);
    };
    restore.push(() => (Buffers.prototype.allocate = allocate));
    const { threads: _, ...rest } = tiny;
    const options = { ...rest, data, device: "gpu:0", tune: false, epochs: 1, batch: 16 };
    const batch = await proposed({ ...options, out: at("gpu-large") });
    expect(batch).toBeWithin(1, 16);
    await train({ ...options, batch, out: at("gpu-small") });
  });
});
