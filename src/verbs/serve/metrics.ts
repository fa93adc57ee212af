/** Counts what the server does, and writes it in the text format of Prometheus (version 0.0.4). */

/** Upper bounds of the histogram's buckets, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What is measured when it is asked for. */
export interface Gauges {
  /** Requests that are being read or classified. */
  readonly underWay: number;
  /** Images that are being decoded or wait for the device. */
  readonly waiting: number;
  /** Batches so far. */
  readonly batches: number;
}

export class Metrics {
  /** By status and path. */
  readonly #requests = new Map<string, number>();
  /** Classifications up to each bound, and above them all. */
  readonly #buckets = new Float64Array(BOUNDS.length + 1);
  #seconds = 0;
  #images = 0;

  /** Images classified so far. */
  get images(): number {
    return this.#images;
  }

  /** Requests answered so far, however they were. */
  get requests(): number {
    return this.#requests.values().reduce((sum, each) => sum + each, 0);
  }

  /** @param path one of few: each gets a line of its own */
  answered(path: string, status: number): void {
    const labels = `path="${path}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  /** @param seconds from the request's arrival to its answer */
  classified(seconds: number): void {
    const above = BOUNDS.findIndex((bound) => seconds <= bound);
    this.#buckets[above < 0 ? BOUNDS.length : above]!++;
    this.#seconds += seconds;
    this.#images++;
  }

  text({ underWay, waiting, batches }: Gauges): string {
    let below = 0;
    const buckets = [...BOUNDS, "+Inf"].map((bound, i) => {
      below += this.#buckets[i]!;
      return `alexnet_classification_seconds_bucket{le="${bound}"} ${below}`;
    });
    const metric = (name: string, type: string, help: string, lines: readonly string[]) => [
      ...[`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`],
      ...lines,
    ];
    const single = (name: string, type: string, help: string, value: number) =>
      metric(name, type, help, [`${name} ${value}`]);
    const requests = [...this.#requests].map(([labels, value]) => `alexnet_requests_total{${labels}} ${value}`);
    const lines = [
      metric("alexnet_requests_total", "counter", "Requests answered, by path and status.", requests),
      single("alexnet_images_total", "counter", "Images classified.", this.#images),
      single("alexnet_batches_total", "counter", "Batches computed.", batches),
      metric("alexnet_classification_seconds", "histogram", "From a request's arrival to its classification.", [
        ...buckets,
        `alexnet_classification_seconds_sum ${this.#seconds}`,
        `alexnet_classification_seconds_count ${this.#images}`,
      ]),
      single("alexnet_requests_under_way", "gauge", "Requests being read or classified.", underWay),
      single("alexnet_queue_length", "gauge", "Images that wait for the device.", waiting),
      single("process_resident_memory_bytes", "gauge", "Memory of the process.", process.memoryUsage.rss()),
    ];
    return `${lines.flat().join("\n")}\n`;
  }
}
