/** Models on standard input and output. */
import { addAbortSignal, type Readable, type Writable } from "node:stream";
import { ModelShrinkError, OutOfMemoryError, UnsupportedError } from "../base/errors.js";
import { ioError } from "../files/node/io-error.js";
import type { RandomAccess } from "../files/raw.js";
import type { Sink, SinkFor } from "../files/sink.js";

/** A pipe cannot be read twice, and a model is: so it is held in memory, up to this size. */
const maxInputBytes = 2 ** 32;

const blockBytes = 1 << 24;
const pieceBytes = 1 << 20;

/** Bytes in blocks of one size: no copy of the whole is made to read from them. */
class Blocks implements RandomAccess {
  readonly #blocks: Uint8Array[] = [];
  size = 0;

  append(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.length;) {
      const at = this.size % blockBytes;
      if (at === 0) this.#blocks.push(new Uint8Array(blockBytes));
      const part = chunk.subarray(done, done + blockBytes - at);
      this.#blocks.at(-1)!.set(part, at);
      this.size += part.length;
      done += part.length;
    }
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const block = this.#blocks[Math.floor((offset + done) / blockBytes)]!;
      const at = (offset + done) % blockBytes;
      const part = block.subarray(at, at + length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }
}

/** All of standard input, in memory. Throws where it is a terminal, longer than 4 GiB or cannot be read. */
export async function readStandardInput(
  input: Readable & { isTTY?: boolean },
  signal: AbortSignal,
): Promise<RandomAccess> {
  if (input.isTTY) {
    throw new ModelShrinkError(
      "Standard input is a terminal: send a model into it (< model.onnx), or name a file.",
      "io",
    );
  }
  const blocks = new Blocks();
  try {
    for await (const chunk of addAbortSignal(signal, input)) {
      blocks.append(chunk as Uint8Array);
      if (blocks.size > maxInputBytes) {
        throw new UnsupportedError(
          "Standard input is longer than 4 GiB, which is the most that is held in memory: " +
            "save it in a file and name that.",
        );
      }
    }
  } catch (cause) {
    throw cause instanceof ModelShrinkError ? cause : ioError("read", "standard input", cause);
  }
  return blocks;
}

/** Holds an output in memory and writes it once it is whole, because its bytes come in any order. */
class StandardOutput implements Sink {
  readonly #output: Writable;
  #bytes = new Uint8Array(0);

  constructor(output: Writable) {
    this.#output = output;
  }

  open(size: number): void {
    try {
      this.#bytes = new Uint8Array(size);
    } catch (cause) {
      throw new OutOfMemoryError(
        `The output takes ${size} bytes, more than memory has for standard output: give -o <path>.`,
        { cause },
      );
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, offset);
  }

  async close(): Promise<void> {
    for (let at = 0; at < this.#bytes.length; at += pieceBytes) {
      await this.#writePiece(this.#bytes.subarray(at, at + pieceBytes));
    }
  }

  abort(): void {
    this.#bytes = new Uint8Array(0);
  }

  #writePiece(piece: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#output.write(piece, (error) => {
        if (error) reject(ioError("write", "standard output", error));
        else resolve();
      });
    });
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
    return new StandardOutput(output);
  };
}
