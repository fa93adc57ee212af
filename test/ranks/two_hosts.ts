/**
 * `bun test/ranks/two_hosts.ts` (as root, on Linux): trains on four ranks in two network namespaces, which have hostnames of
 * their own and reach each other over TCP only, as two machines do; compares with one process; then takes the link away in
 * the middle of a training. MPICH's launcher (MPIEXEC, or mpiexec.mpich) starts the ranks through what it takes for ssh.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MAIN } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { stepLosses } from "../support/steps.ts";

const launcher = process.env.MPIEXEC ?? Bun.which("mpiexec.mpich") ?? "mpiexec";
const HOSTS = ["alexnet-a", "alexnet-b"] as const;
const ADDRESSES = ["10.77.0.1", "10.77.0.2"] as const;
/** What the ranks are told of their network: of UCX's and libfabric's ways only TCP, over the link. */
const NETWORK = { UCX_TLS: "tcp,self", UCX_NET_DEVICES: "link0", FI_PROVIDER: "tcp", FI_TCP_IFACE: "link0" };

function shell(command: string): void {
  const { success, stderr } = Bun.spawnSync(["sh", "-c", command]);
  if (!success) throw new Error(`${command}: ${stderr.toString().trim()}`);
}

function connect(): void {
  for (const host of HOSTS) shell(`ip netns add ${host}`);
  shell(`ip link add link0 netns ${HOSTS[0]} type veth peer name link0 netns ${HOSTS[1]}`);
  for (const [i, host] of HOSTS.entries()) {
    shell(`ip -n ${host} addr add ${ADDRESSES[i]}/24 dev link0`);
    shell(`ip -n ${host} link set lo up`);
    shell(`ip -n ${host} link set link0 up`);
  }
}

function disconnect(): void {
  for (const host of HOSTS) Bun.spawnSync(["ip", "netns", "del", host]);
}

const folder = temporaryFolder();
// ssh [-x …] HOST COMMAND
const ssh = join(folder.path, "ssh");
writeFileSync(
  ssh,
  `#!/bin/bash
while [ "\${1#-}" != "$1" ]; do shift; done
case "$1" in ${ADDRESSES[0]}) host=${HOSTS[0]};; ${ADDRESSES[1]}) host=${HOSTS[1]};; *) exit 1;; esac
shift
exec ip netns exec $host unshare --uts bash -c "hostname $host; exec $*"
`,
  { mode: 0o755 },
);

const common = [
  "--model",
  "small",
  "--rate",
  "0.00001",
  "--batch",
  "16",
  "--device",
  "cpu",
  "--threads",
  "1",
  "--json",
];

function start(args: readonly string[], isApart: boolean) {
  const program = [process.execPath, MAIN, "train", ...(args.includes("--resume") ? [] : common), ...args];
  const apart = [
    ...["ip", "netns", "exec", HOSTS[0], launcher, "-launcher", "ssh", "-launcher-exec", ssh],
    ...["-iface", "link0", "-hosts", ADDRESSES.map((address) => `${address}:2`).join(","), "-n", "4"],
  ];
  return Bun.spawn(isApart ? [...apart, ...program] : program, {
    cwd: folder.path,
    env: { ...process.env, ...(isApart && NETWORK) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function end(child: ReturnType<typeof start>) {
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { stdout, stderr, code: child.exitCode };
}

function require(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(what);
}

disconnect();
connect();
try {
  const short = ["--limit", "320", "--epochs", "1", "--schedule", "constant"];
  const one = await end(start([...short, "--out", "one"], false));
  require(one.code === 0, one.stderr);
  const sent = () => bytesOver(HOSTS[0]);
  for (const [name, more] of [
    ["data-parallel", []],
    ["--split owt", ["--split", "owt"]],
  ] as const) {
    const before = sent();
    const apart = await end(start([...short, ...more, "--out", `apart${more.length}`], true));
    require(apart.code === 0, apart.stderr + apart.stdout);
    const [a, b] = [one, apart].map(({ stdout }) => stepLosses(stdout));
    require(a!.length === 20 && b!.length === 20, `${a!.length} and ${b!.length} steps`);
    const difference = Math.max(...a!.map((loss, i) => Math.abs(loss - b![i]!)));
    const megabytes = ((sent() - before) / 1e6).toFixed(1);
    require(sent() - before > 1e6, `only ${sent() - before} bytes went over the link`);
    require(difference < 1e-5, `losses differ by ${difference}`);
    const mpi = /ranks \(([^)]*)\)/.exec(apart.stdout)?.[1];
    console.log(
      `${name}: 4 ranks on 2 hosts (${mpi}), 20 steps: losses within ${difference.toExponential(1)} of one process, ` +
        `${megabytes} MB over the link`,
    );
  }
  const child = start(["--limit", "640", "--epochs", "1000", "--out", "cut"], true);
  while (!existsSync(join(folder.path, "cut", "last.safetensors"))) {
    require(child.exitCode === null, "it ended before its first save");
    await Bun.sleep(100);
  }
  shell(`ip -n ${HOSTS[1]} link set link0 down`);
  const cutAt = performance.now();
  const cut = await end(child);
  const seconds = (performance.now() - cutAt) / 1000;
  const reason = (cut.stderr + cut.stdout).split("\n").find((line) => /rank \d of 4 .*(heard|reached)/.test(line));
  require(cut.code !== 0 && seconds < 40, `the link was taken away: status ${cut.code} after ${seconds} s`);
  console.log(
    `the link taken away: status ${cut.code} after ${seconds.toFixed(0)} s: ${reason?.trim() ?? "the launcher ended it"}`,
  );
  const resumed = await end(start(["--resume", "cut", "--epochs", "2", "--json"], false));
  console.log(`resumed by one process: status ${resumed.code}`);
  require(resumed.code === 0, resumed.stderr);
} finally {
  disconnect();
  folder.remove();
}

/** That a host's end of the link has sent and received. */
function bytesOver(host: string): number {
  const { stdout } = Bun.spawnSync(["ip", "netns", "exec", host, "cat", "/proc/net/dev"]);
  const fields = /link0:\s*(.*)/.exec(stdout.toString())![1]!.trim().split(/\s+/).map(Number);
  return fields[0]! + fields[8]!;
}
