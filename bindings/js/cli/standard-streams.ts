/** Models on standard input and output. */
import { addAbortSignal, type Readable, type Writable } from "node:stream";
import { ModelShrinkError, UnsupportedError } from "../base/errors.js";
import { ioError } from "../files/node/io-error.js";
import type { SinkFor } from "../files/sink.js";
import { blobOfStream } from "../files/stream.js";

/** All of standard input, in memory. Throws where it is a terminal, longer than 4 GiB or cannot be read. */
export async function readStandardInput(
  input: Readable & { isTTY?: boolean },
  signal: AbortSignal,
): Promise<Blob> {
  if (input.isTTY) {
    throw new ModelShrinkError(
      "Standard input is a terminal: send a model into it (< model.onnx), or name a file.",
      "io",
    );
  }
  try {
    // The open stream would keep the process running after an interrupt.
    addAbortSignal(signal, input);
    return await blobOfStream(input, { what: "Standard input", signal, timeoutMs: Infinity });
  } catch (cause) {
    throw cause instanceof ModelShrinkError ? cause : ioError("read", "standard input", cause);
  }
}

/** A sink for a model of one file; it refuses a second file before anything is written. */
export function standardOutputSink(output: Writable): SinkFor {
  let isTaken = false;
  return (name) => {
    if (isTaken) {
      throw new UnsupportedError(
        `The output has several files (the second is "${name}"), and standard output takes one: ` +
          "give -o <folder>/.",
      );
    }
    isTaken = true;
    return output;
  };
}

/** An error of `work` that the system gave for standard output, as one that says so. */
export async function writingToStandardOutput<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isSystems = cause instanceof Error && "syscall" in cause;
    throw isSystems ? ioError("write", "standard output", cause) : cause;
  }
}
