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

/** Runs to its end and gives what it printed. */
export async function run(cwd, command, ...args) {
  const child = start(cwd, command, ...args);
  const [code, signal] = await once(child, "close");
  if (code === 0) return child.output;
  throw new Error(`${command} ${args.join(" ")}: ${signal ?? code}\n${child.output}`);
}
