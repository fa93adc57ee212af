/** The training page: starts and stops the worker that trains, and shows what it tells. */
import { filterGrid } from "../../../pictures/filters.ts";
import type { EpochPoint, StepPoint } from "../../../pictures/charts.ts";
import { withAlpha, type Raster } from "../../../pictures/pixels.ts";
import { count, duration, percent, plural } from "../../../words.ts";
import { LiveCharts } from "../charts.ts";
import { create, element } from "../../elements.ts";
import { show, showProgress, showTiles } from "../dom.ts";
import { isDeviceChoice } from "../worker_port.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** The share of right answers that the network is trained to at least. */
const AIM = 0.95;

type Message<T extends FromWorker["type"]> = Extract<FromWorker, { type: T }>;

/** What is known of the training that is shown. */
interface Shown {
  device?: Message<"device">;
  start?: Message<"start">;
  step?: Message<"step">;
  look?: Message<"look">;
  /** Before the first step. */
  filters?: Float32Array;
  readonly epochs: EpochPoint[];
  readonly steps: StepPoint[];
  /** When the aim was first reached, in seconds of training. */
  aimed?: number;
}

type Phase = "idle" | "opening" | "running" | "paused" | "over";

const wish = new URLSearchParams(location.search);
/** For trials with less than all of it: `?train=640&epochs=1`. */
const wished = (name: string) => (Number(wish.get(name)) > 0 ? { [name]: Number(wish.get(name)) } : {});

const charts = new LiveCharts("charts", ["Loss", "Accuracy"]);
let worker: Worker | undefined;
let shown: Shown = { epochs: [], steps: [] };
let phase: Phase = "idle";
let answers: { readonly figure: HTMLElement; readonly words: HTMLElement }[] = [];
let isDirty = false;

function begin(): void {
  const seed = element("seed", HTMLInputElement);
  const device = element("device", HTMLSelectElement).value;
  if (!seed.reportValidity() || !isDeviceChoice(device)) return;
  worker?.terminate();
  worker = new Worker(new URL("train_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
  worker.onerror = ({ message }) => receive({ type: "failed", words: message || "the worker stopped", isLost: false });
  shown = { epochs: [], steps: [] };
  enter("opening");
  send({
    ...{ type: "begin", seed: seed.valueAsNumber, device },
    ...wished("train"),
    ...wished("val"),
    ...wished("epochs"),
  });
  say("Opening the device");
  draw();
}

function send(message: ToWorker): void {
  worker?.postMessage(message);
}

/** Only for what changes rarely: it is read aloud. */
function say(words: string): void {
  show("status", words);
}

function enter(next: Phase): void {
  phase = next;
  const labels = { idle: "Start", opening: "Pause", running: "Pause", paused: "Go on", over: "Train again" };
  show("start", labels[phase]);
  element("start", HTMLButtonElement).disabled = phase === "opening";
  element("again", HTMLButtonElement).hidden = phase !== "running" && phase !== "paused";
  for (const field of ["seed", "device"])
    (element(field) as HTMLInputElement | HTMLSelectElement).disabled = phase === "running" || phase === "opening";
  document.body.dataset.phase = phase;
}

function press(): void {
  if (phase === "running") {
    send({ type: "pause" });
    enter("paused");
    say("Paused");
  } else if (phase === "paused") {
    send({ type: "resume" });
    enter("running");
    say("Training");
  } else begin();
}

function receive(message: FromWorker): void {
  switch (message.type) {
    case "device":
      shown.device = message;
      say("Drawing the images");
      break;
    case "drawing":
      showProgress((0.1 * message.done) / message.total);
      show("phase", `Drawing ${count(message.done)} of ${count(message.total)} images`);
      return;
    case "start":
      shown.start = message;
      answers = showImages(message);
      enter("running");
      say("Training");
      break;
    case "step":
      shown.step = message;
      shown.steps.push(message);
      break;
    case "filters":
      showFilters(message);
      return;
    case "look":
      look(message);
      break;
    case "end":
      draw();
      enter("over");
      say(outcome());
      break;
    case "failed":
      draw();
      enter("over");
      say(
        message.isLost
          ? `The device was lost, and the training with it: press “Train again”.`
          : `It failed: ${message.words}`,
      );
      break;
  }
  isDirty = true;
}

function look(message: Message<"look">): void {
  shown.look = message;
  const { at, train, val, rate } = message;
  const { imagesPerSecond, seconds } = shown.step ?? { imagesPerSecond: NaN, seconds: 0 };
  shown.epochs.push({ epoch: at, train, val, rate, imagesPerSecond });
  const right = 1 - val.top1;
  if (right >= AIM) shown.aimed ??= seconds;
  showAnswers(message);
  // One that was on its way when the button was pressed.
  if (phase !== "paused") say(`${percent(right)} of ${plural(message.images, "test image")} right`);
}

function outcome(): string {
  const { look, step, aimed } = shown;
  const all = `${percent(1 - look!.val.top1)} of ${plural(look!.images, "test image")} are recognised, after ${duration(step!.seconds)}.`;
  return aimed === undefined ? `Done: ${all}` : `Done: ${all} It passed ${percent(AIM)} after ${duration(aimed)}.`;
}

/** What changes with each step, once a frame. */
function draw(): void {
  isDirty = false;
  const { device, start, step, look } = shown;
  const right = look ? percent(1 - look.val.top1) : "–";
  showTiles([
    {
      ...{ name: "Test images recognised", value: right },
      note: look ? `of ${count(look.images)}; by guessing 10%` : "by guessing 10%",
    },
    {
      ...{ name: "Loss", value: step ? step.loss.toFixed(3) : "–" },
      note: "by guessing 2.303",
    },
    {
      ...{ name: "Images a second", value: step ? count(Math.round(step.imagesPerSecond)) : "–" },
      note: "forward, backward and update",
    },
    {
      ...{ name: "Step", value: step ? count(step.step) : "–" },
      note: start ? `of ${count(start.steps)}, in ${plural(start.epochs, "epoch")}` : "128 images each",
    },
  ]);
  charts.show({ epochs: shown.epochs, steps: shown.steps, classes: 2 });
  if (step && start) {
    showProgress(0.1 + (0.9 * step.step) / start.steps);
    show("phase", `${duration(step.seconds)} of training on ${deviceWords(device!)}, seed ${seedWords()}`);
  } else if (phase === "opening") show("phase", device ? deviceWords(device) : "");
}

const deviceWords = ({ kind, description }: Message<"device">) =>
  kind === "cpu" ? description : `WebGPU (${description})`;
const seedWords = () => element("seed", HTMLInputElement).value;

/** The test images that are followed, without answers yet. */
function showImages({ side, pixels, labels, classes }: Message<"start">): typeof answers {
  const made = Array.from(labels, (label, i) => {
    const picture = canvasOf({
      ...{ pixels: pixels.subarray(i * side * side * 3, (i + 1) * side * side * 3), width: side, height: side },
    });
    picture.role = "img";
    picture.ariaLabel = classes[label]!;
    const [figure, words] = [create("figure"), create("figcaption", "", "?")];
    figure.append(picture, words);
    return { figure, words };
  });
  element("answers").replaceChildren(...made.map(({ figure }) => figure));
  return made;
}

function showAnswers({ answers: p }: Message<"look">): void {
  const { classes, labels } = shown.start!;
  p.forEach((each, i) => {
    const best = each.indexOf(Math.max(...each));
    const isRight = best === labels[i];
    const { figure, words } = answers[i]!;
    figure.className = isRight ? "right" : "wrong";
    words.textContent = `${isRight ? "✓" : "✗"} ${classes[best]} ${Math.round(100 * each[best]!)}%`;
  });
  const right = p.filter((each, i) => each.indexOf(Math.max(...each)) === labels[i]).length;
  show("answers-note", `${right} of these ${p.length} are recognised. They are never trained on.`);
}

/** The side of a weight, in pixels of the picture. */
const WEIGHT = 10;

/** The filters as they are and, since noise is most of what is seen of them, how they have changed. */
function showFilters({ weights, shape }: Message<"filters">): void {
  const first = (shown.filters ??= weights);
  const change = weights.map((weight, i) => weight - first[i]!);
  for (const [id, numbers] of [["filters", weights] as const, ["change", change] as const]) {
    const { pixels, alpha, width, height } = filterGrid(numbers, shape, { columns: 4, factor: WEIGHT });
    const rgba = withAlpha(pixels);
    alpha?.forEach((opacity, i) => (rgba[4 * i + 3] = opacity));
    paint(element(id, HTMLCanvasElement), rgba, width, height);
  }
}

function canvasOf({ pixels, width, height }: Raster): HTMLCanvasElement {
  const canvas = create("canvas");
  paint(canvas, withAlpha(pixels), width, height);
  return canvas;
}

function paint(canvas: HTMLCanvasElement, rgba: Uint8Array, width: number, height: number): void {
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d")!.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
}

function frame(): void {
  if (isDirty) draw();
  requestAnimationFrame(frame);
}

if (wish.has("seed")) element("seed", HTMLInputElement).value = wish.get("seed")!;
if (isDeviceChoice(wish.get("device"))) element("device", HTMLSelectElement).value = wish.get("device")!;
element("start").addEventListener("click", press);
element("again").addEventListener("click", begin);
enter("idle");
draw();
frame();
