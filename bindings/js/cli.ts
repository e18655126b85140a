#!/usr/bin/env node
/** The `modelshrink` command. */
import { readFile } from "node:fs/promises";
import { ModelShrinkError } from "./base/errors.js";
import { parseCommand, UsageError, type Arguments } from "./cli/args.js";
import { commandHelp, generalHelp } from "./cli/help.js";
import { ProgressBar } from "./cli/progress-bar.js";
import { runCommand } from "./cli/run.js";

const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

async function version(): Promise<string> {
  const manifest = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

async function runInterruptibly(args: Arguments): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    controller.abort();
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const bar = new ProgressBar(process.stderr);
  try {
    const { text, json } = await runCommand(args, {
      signal: controller.signal,
      onProgress: bar.update,
    });
    bar.clear();
    process.stdout.write(`${args.json ? JSON.stringify(json, undefined, 2) : text}\n`);
    return exitCodes.done;
  } catch (error) {
    bar.clear();
    if (!controller.signal.aborted) throw error;
    const advice = args.resume
      ? "the same command goes on from here"
      : "nothing was written (with --resume what is done would stay)";
    process.stderr.write(`modelshrink: interrupted; ${advice}.\n`);
    return exitCodes.interrupted;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

async function main(words: string[]): Promise<number> {
  const [first] = words;
  if (first === "--version") {
    process.stdout.write(`${await version()}\n`);
    return exitCodes.done;
  }
  if (first === "--help" || first === "-h") {
    process.stdout.write(generalHelp());
    return exitCodes.done;
  }
  if (first === undefined) {
    process.stderr.write(generalHelp());
    return exitCodes.usage;
  }
  const args = parseCommand(words);
  if (args.help || args.version) {
    process.stdout.write(args.help ? commandHelp(args.command) : `${await version()}\n`);
    return exitCodes.done;
  }
  return runInterruptibly(args);
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failed);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`modelshrink: ${error.message}\nSee modelshrink --help.\n`);
    process.exitCode = exitCodes.usage;
  } else {
    const text = error instanceof ModelShrinkError ? error.message : String(error);
    process.stderr.write(`modelshrink: ${text}\n`);
    process.exitCode = exitCodes.failed;
  }
}
