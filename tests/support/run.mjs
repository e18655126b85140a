import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Runs a command in the repository's root. Its output is shown when it fails or when `verbose`.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, verbose?: boolean }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
export function run(command, args, { env = {}, verbose = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", verbose ? "inherit" : "pipe", verbose ? "inherit" : "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => (output += chunk));
    }
    child.on("error", (error) => resolve({ ok: false, output: `${command}: ${error.message}\n` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** Runs a command and ends this process with its output when it fails. */
export async function runOrExit(command, args, options) {
  const { ok, output } = await run(command, args, options);
  if (ok) return output;
  process.stderr.write(`${output}\n${command} ${args.join(" ")}: failed\n`);
  process.exit(1);
}
