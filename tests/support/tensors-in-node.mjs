// What the command takes for a model of very many tensors, in a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { manyTensors } from "./many-tensors.mjs";
import { root } from "./run.mjs";

/** The commands that are measured. */
export const measuredCommands = ["inspect", "plan", "shrink"];

/** The bytes that a process is to take at most: so many, and so many times the bytes of the model's headers. */
export const goalOf = (command, headerBytes) =>
  150e6 + (command === "shrink" ? 12 : 6) * headerBytes;

/**
 * Writes the process's peak of memory in KiB as its last line of standard error: Linux's own word, because the maximum
 * that Node.js tells begins with that of the process that started it.
 */
const program = `
import { readFileSync } from "node:fs";
process.on("exit", () => {
  process._rawDebug(/VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
});`;
const meter = `data:text/javascript,${encodeURIComponent(program)}`;

async function measure(args) {
  const start = performance.now();
  const cli = join(root, "dist/cli.js");
  const child = spawn(process.execPath, ["--import", meter, cli, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (data) => (text += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${text}`);
  const peakBytes = Number(text.trim().split("\n").at(-1)) * 1024;
  return { peakBytes, seconds: (performance.now() - start) / 1000 };
}

/** Runs each of `commands` on a model of `count` tensors; each gives { command, headerBytes, peakBytes, seconds }. */
export async function measureTensors(format, count, folder, commands = measuredCommands) {
  const place = await mkdtemp(join(folder, `${format}-`));
  try {
    const { files, main, headerBytes } = manyTensors(format, count);
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(place, name), bytes);
    await mkdir(join(place, "out"));
    const model = join(place, main);
    const results = [];
    for (const command of commands) {
      // Every tensor becomes a smaller one, however few elements it has.
      const recipe = command === "inspect" ? [] : ["--rule", "*=float16"];
      const output = command === "shrink" ? ["-o", join(place, "out", main)] : [];
      const found = await measure([command, model, ...recipe, ...output]);
      results.push({ command, headerBytes, ...found });
    }
    return results;
  } finally {
    await rm(place, { recursive: true });
  }
}
