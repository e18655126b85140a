/** Everything that an output can go to, from the options `sink` and `resume`. Loaded where one of them is given. */
import { pathTarget, streamFile } from "#files";
import { callUser } from "../base/door.js";
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import { hasMethods, isA } from "../base/tags.js";
import { isFileHandle } from "./handle.js";
import { HeldBytes, InOrder, type SequentialFile } from "./in-order.js";
import type { NodeWritable } from "./node-types.js";
import { HandleFile, PageFile } from "./page-file.js";
import { WebStreamFile } from "./sequential.js";
import type {
  FileSetSink,
  FinishedUnits,
  Ignored,
  Piece,
  RunIdentity,
  Sink,
  SinkFor,
  Target,
} from "./sink.js";
import { parseUrl } from "./url.js";

/** The bytes that come before their turn and that streams may hold back. */
const maxHeldBytes = 1 << 24;

/** An output file that is written at any place, or from front to end. */
type Output = { sink: Sink } | { file: SequentialFile };

/** Gives the output for the file of this name and size in bytes, undefined where only its end tells it. */
type OutputFor = (name: string, size: number | undefined) => Output | Promise<Output>;

/** A kind of sink for one file; the first that fits is taken. */
interface Kind {
  /** Its name in errors. */
  title: string;
  is: (value: unknown) => boolean;
  output: (value: unknown) => Output;
}

const kinds: readonly Kind[] = [
  {
    title: "a FileSystemFileHandle",
    is: (it) => isFileHandle(it) && hasMethods(it, "createWritable"),
    output: (it) => ({ sink: new HandleFile(it as FileSystemFileHandle) }),
  },
  {
    title: "what its createWritable() gives",
    is: (it) => hasMethods(it, "getWriter", "seek", "truncate"),
    output: (it) => ({ sink: new PageFile(it as FileSystemWritableFileStream) }),
  },
  {
    title: "a WritableStream",
    is: (it) => hasMethods(it, "getWriter"),
    output: (it) => ({ file: new WebStreamFile(it as WritableStream<Uint8Array>) }),
  },
  {
    title: "a Writable (Node.js)",
    is: (it) => hasMethods(it, "write", "end", "destroy", "on"),
    output: (it) => ({ file: streamFile(it as NodeWritable) }),
  },
  {
    title: "an object with open, write, close and abort",
    is: (it) => hasMethods(it, "open", "write", "close", "abort"),
    output: (it) => ({ sink: it as Sink }),
  },
];

const titles = kinds.map(({ title }) => title).join(", ");

const advice =
  "Wrap what else can be written at any place in the object, and what cannot in a WritableStream.";

/** Passes each file on to an output of its own. The main file, the first, becomes visible last. */
class SinkPerFile implements FileSetSink {
  readonly #outputFor: OutputFor;
  readonly #outputs: Output[] = [];
  readonly #inOrder: (InOrder | undefined)[] = [];

  constructor(outputFor: OutputFor) {
    this.#outputFor = outputFor;
  }

  async open({ files }: RunIdentity): Promise<FinishedUnits> {
    const held = new HeldBytes(maxHeldBytes);
    for (const { name, sizeBytes } of files) {
      const output = await callUser(async () => this.#outputFor(name, sizeBytes));
      this.#outputs.push(output);
      this.#inOrder.push("file" in output ? new InOrder(output.file, held) : undefined);
      await callUser(async () => endOf(output).open(sizeBytes));
    }
    return new Map();
  }

  write({ unit, file, offset, bytes }: Piece): Ignored | Promise<void> {
    const output = this.#outputs[file]!;
    if ("sink" in output) return callUser(async () => output.sink.write(offset, bytes));
    return this.#inOrder[file]!.write(unit, offset, bytes);
  }

  wanted(): number | undefined {
    for (const file of this.#inOrder) {
      const unit = file?.wanted();
      if (unit !== undefined) return unit;
    }
    return undefined;
  }

  finish(): void {
    // A user's sink knows no units.
  }

  async close(): Promise<void> {
    const [main, ...others] = this.#outputs;
    for (const output of [...others, main!]) await callUser(async () => endOf(output).close());
  }

  async abort(reason: unknown): Promise<void> {
    await Promise.allSettled(this.#outputs.map(async (output) => endOf(output).abort(reason)));
  }
}

const endOf = (output: Output): Sink | SequentialFile =>
  "sink" in output ? output.sink : output.file;

/** The same sink for one output file; there must not be a second one. */
function onlyOne(kind: Kind, value: unknown): Target {
  const output = kind.output(value);
  let taken = false;
  const outputFor = (name: string) => {
    if (taken) {
      throw new ArgumentError(
        `The output has several files (the second is "${name}"): give a path, or a function of name ` +
          "and size that gives a sink for each.",
      );
    }
    taken = true;
    return output;
  };
  return {
    mainName: () => Promise.resolve(undefined),
    sink: () => new SinkPerFile(outputFor),
    isRepeatable: false,
    async abandon(reason) {
      // A Sink of the user's own has seen nothing yet; a stream's other end waits.
      const isOwn = "sink" in output && output.sink === value;
      if (!taken && !isOwn) await endOf(output).abort(reason);
    },
  };
}

function oneForEach(sinkFor: SinkFor): Target {
  const outputFor = async (name: string, size: number | undefined) => {
    const value: unknown = await sinkFor(name, size as number);
    const kind = kinds.find(({ is }) => is(value));
    if (kind) return kind.output(value);
    throw new ArgumentError(
      `sink("${name}") gave ${show(value)}; it must give ${titles}. ${advice}`,
    );
  };
  return {
    mainName: () => Promise.resolve(undefined),
    sink: () => new SinkPerFile(outputFor),
    isRepeatable: false,
  };
}

/**
 * A target whose files take their bytes from front to end. A run that was aborted may be followed by another: each calls
 * `begin` first.
 */
export const sequentialTarget = (
  fileFor: (name: string) => SequentialFile,
  begin: () => void,
): Target => ({
  mainName: () => Promise.resolve(undefined),
  sink() {
    begin();
    return new SinkPerFile((name) => ({ file: fileFor(name) }));
  },
  isRepeatable: true,
});

/** The beginning of an address, such as https: or data:, but not of a path with a drive's letter. */
const scheme = /^[a-z][a-z\d+.-]+:/i;

function atAddress(sink: string | URL, resume: boolean): Target {
  const address = String(sink);
  if (!scheme.test(address)) return pathTarget(address, resume);
  const url = /^file:/i.test(address) ? parseUrl(address) : undefined;
  if (url) return pathTarget(url, resume);
  throw new ArgumentError(
    `sink is ${show(address)}; only addresses of files (file:) can be written.`,
  );
}

/** Does what `withTarget` of with-target.ts says, for a sink that is given, or `resume`. */
export async function withUsersTarget<T>(
  sink: unknown,
  resume: boolean,
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const target = targetFromOption(sink, resume);
  try {
    return await work(target);
  } catch (error) {
    await target.abandon?.(error).catch(() => undefined);
    throw error;
  }
}

function targetFromOption(sink: unknown, resume: boolean): Target {
  if (typeof sink === "string" || isA(sink, "URL")) return atAddress(sink as string | URL, resume);
  if (resume) throw new ArgumentError("resume needs a path as sink.");
  if (typeof sink === "function") return oneForEach(sink as SinkFor);
  const kind = kinds.find(({ is }) => is(sink));
  if (kind) return onlyOne(kind, sink);
  throw new ArgumentError(
    `sink is ${show(sink)}; it may be a path or file: address (Node.js), ${titles}, or a function of ` +
      `name and size that gives one of these objects for each file. ${advice}`,
  );
}
