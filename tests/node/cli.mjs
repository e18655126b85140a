// Runs the command as a user would, in a folder of its own with a small model.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach } from "node:test";
import { fileURLToPath } from "node:url";
import { chainModel } from "../support/onnx.mjs";

export const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const faults = new URL("./disk-faults.mjs", import.meta.url).href;

/** Two MatMuls of 64 × 64 with biases; its input is X, its output Y. */
export const model = chainModel([
  { name: "first", size: 64 },
  { name: "second", size: 64 },
]);

/** What a command printed, and its exit code; `bytes` is standard output as it was. */
export async function finish(child) {
  const output = { stdout: [], stderr: [] };
  for (const name of ["stdout", "stderr"]) {
    child[name].on("data", (chunk) => output[name].push(chunk));
  }
  const [code] = await once(child, "close");
  const bytes = Buffer.concat(output.stdout);
  return { code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(output.stderr).toString() };
}

/**
 * A folder for the tests of a file, emptied before each of them but for "model.onnx": `path` gives a path in it,
 * `files` the names in it, `start` and `run` the command with these arguments, `runWith` one with more than arguments.
 */
export function commandFolder() {
  let folder;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "modelshrink-cli-"));
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
    await writeFile(join(folder, "model.onnx"), model);
  });
  const path = (...names) => join(folder, ...names);
  const start = (args, { fault, env = {}, cwd = "" } = {}) => {
    const flags = fault ? ["--import", faults] : [];
    const all = { ...process.env, ...env, ...(fault ? { DISK_FAULT: fault } : {}) };
    return spawn(process.execPath, [...flags, cli, ...args], { cwd: path(cwd), env: all });
  };
  const runWith = ({ input = "", ...options }, ...args) => {
    const child = start(args, options);
    // The command may end before it has read everything.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return finish(child);
  };
  return {
    ...{ path, start, runWith },
    run: (...args) => runWith({}, ...args),
    files: async (...names) => (await readdir(path(...names))).sort(),
  };
}
