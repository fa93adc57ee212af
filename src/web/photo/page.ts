/** The script of an exported page: photos and the camera's pictures come in, and the worker's answers are shown. */
import { percent } from "../../words.ts";
import { Album } from "./album.ts";
import { inWords, showClasses, showMap } from "./answer_view.ts";
import { Camera } from "./camera.ts";
import { Computer, Refused } from "./computer.ts";
import { element } from "../elements.ts";
import { show } from "./show.ts";
import type { Answer, DeviceChoice } from "./messages.ts";
import type { PageSettings } from "../../verbs/export/page_settings.ts";
import { unpack } from "./unpack.ts";

/** From one answer to the next while the camera runs: as fast as anybody reads, and a phone stays cool. */
const LIVE_MS = 200;

const image = element<HTMLImageElement>("photo");
const video = element<HTMLVideoElement>("video");
const why = element<HTMLInputElement>("why");
const camera = new Camera(video, () => {
  stopCamera();
  show("problem", "The camera has gone: it was switched off or unplugged.");
});
const album = new Album((url) => void select(url));

let computer: Computer | undefined;
let device = "";
let hasMaps = false;
/** The share of an image's shorter side that the network sees. */
let seen = 1;
/** The photo that is shown; undefined while the camera runs. */
let shown: string | undefined;
/** The class whose map is wanted; undefined for the most probable one. */
let chosen: number | undefined;
let shots = 0;

async function start(): Promise<void> {
  const needed = ["DecompressionStream", "OffscreenCanvas", "WebAssembly", "Worker"];
  if (!needed.every((name) => name in globalThis)) {
    return fail("This browser is too old for this page: it needs one of 2023 or later.");
  }
  const code = new Blob([await unpack(textOf("worker"))], { type: "text/javascript" });
  computer = new Computer(new Worker(URL.createObjectURL(code)), {
    opened(on, maps, share) {
      [device, hasMaps, seen] = [on, maps, share];
      show("state", `Ready: ${on}`);
    },
    moved(on) {
      device = on;
      show("state", `The GPU has failed. Ready again: ${on}`);
    },
    failed: fail,
  });
  const { atLeast } = JSON.parse(textOf("settings")) as PageSettings;
  const choice = /^#device=(webgpu|webassembly)$/.exec(location.hash)?.[1] as DeviceChoice | undefined;
  computer.open({
    ...{ kernels: textOf("kernels"), weights: textOf("weights"), device: choice ?? "auto" },
    ...(atLeast !== undefined && { atLeast }),
  });
  // The worker has them now.
  for (const id of ["worker", "kernels", "weights"]) element(id).remove();
}

const textOf = (id: string): string => element(id).textContent;

/** Nothing can be answered any more. */
function fail(message: string): void {
  stopCamera();
  show("state", "");
  show("problem", message);
  element("result").hidden = true;
  for (const id of ["files", "camera"]) element<HTMLInputElement>(id).disabled = true;
  computer = undefined;
}

function add(files: readonly Blob[]): void {
  if (!computer || files.length === 0) return;
  const added = files.map((file) => album.add(file, file instanceof File ? file.name : `photo ${++shots}`).url);
  void select(added[0]!);
  // The worker takes one after the other.
  for (const url of added) void answer(url);
}

async function answer(url: string): Promise<void> {
  const photo = album.get(url);
  if (!photo || !computer) return;
  try {
    const answer = await computer.classify(photo.file, false);
    const [first] = answer.classes;
    album.settle(url, { answer }, `${first!.name} ${percent(first!.probability)}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    album.settle(url, { problem: `${photo.name}: ${error.message}` }, "no answer");
  }
  if (shown === url) await showPhoto();
}

/** Shows a photo of the list. */
async function select(url: string): Promise<void> {
  stopCamera();
  [shown, chosen] = [url, undefined];
  album.mark(url);
  await showPhoto();
}

/** Shows what is known of the photo. */
async function showPhoto(): Promise<void> {
  const photo = shown === undefined ? undefined : album.get(shown);
  if (!photo) return;
  const { url, name, answer: found, problem = "" } = photo;
  show("problem", problem);
  document.body.classList.add("answered");
  element("result").hidden = problem !== "";
  if (problem !== "") return;
  image.hidden = false;
  image.alt = name;
  if (image.src !== url) image.src = url;
  show("name", name);
  if (!found) return showWaiting();
  // For screen readers; they say it when it changes.
  show("spoken", `${name}: ${inWords(found)}`);
  await showAnswer(found);
}

function showWaiting(): void {
  element("classes").replaceChildren();
  showMap(undefined);
  for (const id of ["doubt", "time"]) show(id, "");
  show("time", "Looking at it…");
  element("why-line").hidden = true;
}

/** @param size of a camera's picture; a photo's own if not given */
async function showAnswer(found: Answer, size?: { readonly width: number; readonly height: number }): Promise<void> {
  const label = chosen ?? found.classes[0]!.label;
  const choose = (of: number) => {
    // Once more: back to the photo alone.
    why.checked = !(why.checked && of === label);
    chosen = of;
    void redraw();
  };
  showClasses(found, why.checked ? label : undefined, hasMaps ? choose : undefined);
  show("what", found.classes.find((each) => each.label === label)?.name ?? "it");
  element("why-line").hidden = !hasMaps;
  show("time", `${Math.round(found.milliseconds)} ms on ${device}`);
  if (!why.checked || !hasMaps) return showMap(undefined);
  const url = shown;
  const map = found.map?.label === label ? found.map : await computer?.map(found.record, label);
  if (!size) await image.decode().catch(() => {});
  // Something else may be shown by now.
  if (shown !== url || !why.checked || (chosen ?? label) !== label) return;
  showMap(map, size ?? { width: image.naturalWidth, height: image.naturalHeight }, seen);
}

/** What is shown, after another class was chosen; the camera's next picture comes by itself. */
const redraw = (): Promise<void> => (camera.isOn ? Promise.resolve() : showPhoto());

let isStarting = false;

async function startCamera(begin: () => Promise<boolean>): Promise<void> {
  // Of two streams, as a double click would open, nothing would ever stop the first.
  if (isStarting) return;
  isStarting = true;
  try {
    const hasOther = await begin().finally(() => (isStarting = false));
    show("problem", "");
    [shown, chosen] = [undefined, undefined];
    album.mark(undefined);
    document.body.classList.add("answered");
    showWaiting();
    show("name", "Camera");
    [image.hidden, video.hidden] = [true, false];
    for (const id of ["result", "shutters"]) element(id).hidden = false;
    element("turn").hidden = !hasOther;
    element("shutter").focus();
    await live();
  } catch (error) {
    stopCamera();
    show("problem", (error as Error).message);
  }
}

let lives = 0;

/** Answers what the camera sees, until it is stopped or begins anew. */
async function live(): Promise<void> {
  const life = ++lives;
  const goesOn = () => camera.isOn && life === lives;
  while (goesOn() && computer) {
    const begun = performance.now();
    const { size } = camera;
    const found = await computer.classify(await camera.frame(), why.checked && chosen === undefined);
    if (!goesOn()) return;
    await showAnswer(found, size);
    await new Promise((resolve) => setTimeout(resolve, LIVE_MS - (performance.now() - begun)));
  }
}

function stopCamera(): void {
  if (!camera.isOn) return;
  camera.stop();
  [video.hidden, element("shutters").hidden, element("result").hidden] = [true, true, true];
}

element("files").onchange = () => {
  const input = element<HTMLInputElement>("files");
  add([...(input.files ?? [])]);
  // So that the same photo can be chosen again.
  input.value = "";
};
element("camera").onclick = () => void startCamera(() => camera.start());
element("turn").onclick = () => void startCamera(() => camera.turn());
element("stop").onclick = () => {
  stopCamera();
  element("camera").focus();
};
element("shutter").onclick = () => void camera.photo().then((photo) => add([photo]));
element("clear").onclick = () => {
  album.clear();
  shown = undefined;
  element("result").hidden = true;
  show("problem", "");
  element("files").focus();
};
why.onchange = () => void redraw();
onpaste = (event) => add([...(event.clipboardData?.files ?? [])]);
ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
ondragleave = (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
};
ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add([...(event.dataTransfer?.files ?? [])]);
};

start().catch((error: Error) => fail(`This page has failed: ${error.message}`));
