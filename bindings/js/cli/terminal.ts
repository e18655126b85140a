/** The command's output: results, errors, progress, each on its stream. */
import type { Writable } from "node:stream";
import { visible, visibleLines } from "../base/visible.js";
import { isUnseen, tensorsOf } from "../models/lazy.js";
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

/** Indented JSON, as the members of an object have it, whose names cannot drive a terminal; programs read the same. */
const jsonText = (value: unknown, indent: string) =>
  (JSON.stringify(value, undefined, 2) as string | undefined)
    ?.split("\n")
    .map((line) => visible(line))
    .join(`\n${indent}`);

/** The JSON of an object in pieces: one of a model may have millions of rows. */
function* jsonPieces(value: object): Generator<string, undefined> {
  yield `{\n  "schemaVersion": ${schemaVersion}`;
  for (const key of Object.keys(value)) {
    if (key === "tensors" && isUnseen(value)) {
      let start = `,\n  "tensors": [`;
      for (const row of tensorsOf(value)) {
        yield `${start}\n    ${jsonText(row, "    ")!}`;
        start = ",";
      }
      yield start === "," ? "\n  ]" : `${start}]`;
      continue;
    }
    const text = jsonText((value as Record<string, unknown>)[key], "  ");
    if (text !== undefined) yield `,\n  ${JSON.stringify(key)}: ${text}`;
  }
  yield "\n}\n";
}

/** The characters that are written at once. */
const pieceChars = 1 << 16;

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
    const all = visibleLines(text).split("\n");
    const lines = all.map((line, i) => {
      if (/^\s*Warning: /.test(line)) return paint("yellow", line);
      return i === 0 && all.length > 1 ? paint("bold", line) : line;
    });
    this.#output.write(`${lines.join("\n")}\n`);
  };

  /** The result in JSON; nothing without --json. */
  printJson(value: object): void {
    this.clear();
    if (!this.#display.json) return;
    let text = "";
    for (const piece of jsonPieces(value)) {
      text += piece;
      if (text.length < pieceChars) continue;
      this.#output.write(text);
      text = "";
    }
    this.#output.write(text);
  }

  /** One line on standard error. */
  readonly complain = (text: string): void => {
    this.clear();
    const paint = this.#painter(this.#errors);
    this.#errors.write(`${paint("red", "modelshrink:")} ${visible(text)}\n`);
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
