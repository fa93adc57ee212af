/** The camera: its picture in a video element, and single frames of it. */

export class Camera {
  readonly #video: HTMLVideoElement;
  readonly #ended: () => void;
  #stream: MediaStream | undefined;
  #facing: "environment" | "user" = "environment";

  /** @param ended called when the camera has gone by itself */
  constructor(video: HTMLVideoElement, ended: () => void) {
    this.#video = video;
    this.#ended = ended;
  }

  get isOn(): boolean {
    return this.#stream !== undefined;
  }

  /** @returns whether there is another camera to turn to @throws Error with a sentence for people */
  async start(): Promise<boolean> {
    // Pages that came over plain http from elsewhere don't have it.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (!devices)
      throw new Error("This browser gives no camera to a page that came this way: save it and open the file.");
    this.stop();
    try {
      const video = { facingMode: { ideal: this.#facing }, width: { ideal: 1280 }, height: { ideal: 720 } };
      this.#stream = await devices.getUserMedia({ video });
    } catch (error) {
      throw new Error(wordsFor(error), { cause: error });
    }
    const [track] = this.#stream.getVideoTracks();
    track!.onended = this.#ended;
    this.#video.classList.toggle("mirrored", track!.getSettings().facingMode !== "environment");
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    const cameras = (await devices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    return cameras.length > 1;
  }

  /** The camera on the other side. */
  async turn(): Promise<boolean> {
    this.#facing = this.#facing === "user" ? "environment" : "user";
    return this.start();
  }

  stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#video.srcObject = null;
    this.#video.classList.remove("mirrored");
  }

  get size(): { readonly width: number; readonly height: number } {
    return { width: this.#video.videoWidth, height: this.#video.videoHeight };
  }

  frame(): Promise<ImageBitmap> {
    return createImageBitmap(this.#video);
  }

  /** The picture as it is now, as a JPEG file. */
  async photo(): Promise<Blob> {
    const { width, height } = this.size;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.drawImage(this.#video, 0, 0);
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  }
}

/** getUserMedia's errors, by their names. */
const PROBLEMS: Readonly<Record<string, string>> = {
  NotAllowedError: "The camera was refused: allow it for this page in the browser's settings, then try again.",
  NotFoundError: "This device has no camera that the browser can find.",
  NotReadableError: "The camera can't be used: another program may have it.",
};

function wordsFor(error: unknown): string {
  const { name, message } = error as Error;
  return PROBLEMS[name] ?? `The camera can't be used: ${message}`;
}
