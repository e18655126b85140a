/** The command's output: results, errors, progress, each on its stream. */
import type { Writable } from "node:stream";
import { visible } from "../base/visible.js";
import { failureOf, messageOf } from "./failure.js";
import { ProgressBar } from "./progress-bar.js";

/** Changes when a program that reads the JSON would have to. */
const schemaVersion = 1;

type Stream = Writable & { isTTY?: boolean; columns?: number };

/** How a run of the command shows things. */
export interface Display {
  /** The result, and errors too, as JSON on standard output. */
  json: boolean;
  /** Nothing but errors. */
  quiet: boolean;
  /** Standard output has the model's bytes, so that everything else goes to standard error. */
  isDataOnOutput: boolean;
}

const styles = { bold: 1, red: 31, yellow: 33 } as const;

/** Tells whether a stream is a terminal that shows colors, and the user wants them (no-color.org). */
function hasColors({ isTTY }: Stream, env: NodeJS.ProcessEnv): boolean {
  return isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/** JSON whose names cannot drive a terminal; a program reads the same from it. */
const jsonText = (value: object) =>
  JSON.stringify({ schemaVersion, ...value }, undefined, 2)
    .split("\n")
    .map((line) => visible(line))
    .join("\n");

/** Standard output and standard error, as one run of the command uses them. */
export class Terminal {
  readonly #display: Display;
  readonly #output: Stream;
  readonly #errors: Stream;
  readonly #env: NodeJS.ProcessEnv;
  readonly #bar: ProgressBar;

  constructor(
    display: Display,
    streams: { stdout: Stream; stderr: Stream },
    env: NodeJS.ProcessEnv,
  ) {
    const { stdout, stderr } = streams;
    this.#display = display;
    this.#output = display.isDataOnOutput ? stderr : stdout;
    this.#errors = stderr;
    this.#env = env;
    this.#bar = new ProgressBar(display.quiet ? { write: () => undefined } : stderr);
  }

  get onProgress(): ProgressBar["update"] {
    return this.#bar.update;
  }

  /** Text for people; nothing with --json or --quiet. */
  readonly print = (text: string): void => {
    this.clear();
    if (this.#display.json || this.#display.quiet) return;
    const paint = this.#painter(this.#output);
    const lines = text.split("\n").map((line, i) => {
      if (/^\s*Warning: /.test(line)) return paint("yellow", line);
      return i === 0 && text.includes("\n") ? paint("bold", line) : line;
    });
    this.#output.write(`${lines.join("\n")}\n`);
  };

  /** The result in JSON; nothing without --json. */
  printJson(value: object): void {
    this.clear();
    if (this.#display.json) this.#output.write(`${jsonText(value)}\n`);
  }

  /** One line on standard error. */
  readonly complain = (text: string): void => {
    this.clear();
    const paint = this.#painter(this.#errors);
    this.#errors.write(`${paint("red", "modelshrink:")} ${text}\n`);
  };

  /** Shows why the command failed: a line on standard error, and with --json data on standard output. */
  fail(error: unknown, advice = ""): void {
    this.complain(messageOf(error));
    if (advice) this.#errors.write(`${advice}\n`);
    this.printJson({ error: failureOf(error) });
  }

  /** Takes the progress bar away. */
  clear(): void {
    this.#bar.clear();
  }

  #painter(stream: Stream): (style: keyof typeof styles, text: string) => string {
    return hasColors(stream, this.#env)
      ? (style, text) => `\u001b[${styles[style]}m${text}\u001b[0m`
      : (_, text) => text;
  }
}
