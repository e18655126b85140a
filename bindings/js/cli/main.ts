/** The command from its words to its exit code. */
import { version } from "../base/version.js";
import { commands } from "./commands.js";
import { commandHelp, generalHelp } from "./help.js";
import type { Invocation } from "./command.js";
import { standardStream } from "./outputs.js";
import { timeoutFrom } from "./reading.js";
import { parseCommand } from "./parse.js";
import { Terminal } from "./terminal.js";
import { UsageError } from "./usage-error.js";
import { watchForInterrupt } from "./watchdog.js";

/** The exit codes, which tell scripts how the command ended. */
const exitCodes = { done: 0, failed: 1, usage: 2, idle: 3, interrupted: 130 } as const;

/** Tells whether the words ask for JSON, even where they make no command. */
function asksForJson(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return words.slice(0, end < 0 ? undefined : end).includes("--json");
}

const isDataOnOutput = ({ values }: Invocation) =>
  values.output === standardStream && !values["dry-run"];

/** Says what an interrupt has left, and what helps; nothing of commands that write nothing. */
function afterInterrupt({ command, operands, values }: Invocation): string {
  if (!command.options.includes("resume") || values["dry-run"]) return "";
  if (values.resume) return "; the same command goes on from here";
  return operands.length > 1
    ? "; models that are done stay, nothing of the others was written"
    : "; nothing was written (with --resume what is done would stay)";
}

async function runInterruptibly(invocation: Invocation, terminal: Terminal): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    controller.abort();
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const endWatch = await watchForInterrupt(interrupt);
  try {
    const { onProgress, print, complain } = terminal;
    const { signal } = controller;
    const timeoutMs = timeoutFrom(invocation.values);
    const context = { signal, timeoutMs, onProgress, print, complain, commands };
    const { text, json, hasFailed, isIdle } = await invocation.command.run(invocation, context);
    print(text);
    terminal.printJson(json);
    if (hasFailed) return exitCodes.failed;
    return isIdle ? exitCodes.idle : exitCodes.done;
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    const message = `interrupted${afterInterrupt(invocation)}.`;
    terminal.complain(message);
    terminal.printJson({ error: { code: "interrupted", message } });
    return exitCodes.interrupted;
  } finally {
    endWatch();
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

/** A reader of standard output that has seen enough (`| head`) is no failure, unless it was to get a model. */
function endWithReader(hasData: boolean): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever writes the model hears of it, too.
    if (!hasData) process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failed);
  });
}

async function run(words: readonly string[]): Promise<number> {
  const invocation = parseCommand(words, commands);
  const { command, values } = invocation;
  if (values.help || values.version) {
    endWithReader(false);
    process.stdout.write(values.help ? commandHelp(command) : `${version}\n`);
    return exitCodes.done;
  }
  const hasData = isDataOnOutput(invocation);
  endWithReader(hasData);
  const { json = false, quiet = false } = values;
  const terminal = new Terminal({ json, quiet, isDataOnOutput: hasData }, process, process.env);
  try {
    return await runInterruptibly(invocation, terminal);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    terminal.fail(error);
    return exitCodes.failed;
  }
}

/** `words`: what stands behind "modelshrink". Gives the exit code; everything is shown. */
export async function main(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === "--version") {
    process.stdout.write(`${version}\n`);
    return exitCodes.done;
  }
  if (first === "--help" || first === "-h") {
    endWithReader(false);
    process.stdout.write(generalHelp(commands));
    return exitCodes.done;
  }
  if (first === undefined) {
    process.stderr.write(generalHelp(commands));
    return exitCodes.usage;
  }
  try {
    return await run(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const display = { json: asksForJson(words), quiet: false, isDataOnOutput: false };
    const isCommand = first !== "help" && commands.some((it) => it.name === first);
    const name = isCommand ? `help ${first}` : "--help";
    new Terminal(display, process, process.env).fail(error, `See modelshrink ${name}.`);
    return exitCodes.usage;
  }
}
