// The tools of this folder's package.json, and the app in a folder below it, where they are found.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { installPackage } from "../support/installed-package.mjs";

export const tool = (path) => fileURLToPath(new URL(`node_modules/${path}`, import.meta.url));

/** Node.js of this major version. */
export const node = (major) => tool(`node-${major}/bin/node`);

/** Turbopack and others look for their packages in the folders above the app's. */
export const installBesideTools = () =>
  installPackage(fileURLToPath(new URL(".apps", import.meta.url)));

// Vite sets NODE_ENV in the process that calls it, and Next.js builds by it.
const quiet = { NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1", NODE_ENV: undefined };

export function start(cwd, command, ...args) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...quiet },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => (child.output += chunk));
  }
  return child;
}

/** A command that takes longer hangs. */
const maxMilliseconds = 300_000;

/**
 * Runs to its end and gives what it printed. What hangs is ended, and run once more: at its end the main thread of Node.js
 * 20.0.0 may wait for a compiler's thread that waits for it to collect garbage.
 */
export async function run(cwd, command, ...args) {
  for (let isLast = false; ; isLast = true) {
    const child = start(cwd, command, ...args);
    const timer = setTimeout(() => child.kill("SIGKILL"), maxMilliseconds);
    const [code, signal] = await once(child, "close");
    clearTimeout(timer);
    if (code === 0) return child.output;
    if (signal === "SIGKILL" && !isLast) continue;
    throw new Error(`${command} ${args.join(" ")}: ${signal ?? code}\n${child.output}`);
  }
}
