/** Arrays of samples: their types, and bytes of a file as one of them. */
import { FormatError, UnsupportedError } from "../../base/errors.js";
import { elementsOf } from "../../base/shape.js";
import type { Feeds } from "../../runtime/session.js";

/** An input of a sample, as onnxruntime takes it. */
export type SampleArray = Feeds[string];

/** A sample takes at most this many bytes, unpacked. */
export const maxSampleBytes = 2 ** 31;

interface ElementType {
  bytes: number;
  /** The array of a buffer that it may keep. */
  view: (buffer: ArrayBuffer) => ArrayLike<number | bigint>;
  /** The array of numbers in JSON, for types that are written there. Throws where one is no number. */
  from?: (data: readonly (number | boolean | string)[]) => unknown;
}

/** The types by the names that onnxruntime has for them. A float16 is held as its bits. */
export const elementTypes: Readonly<Record<string, ElementType>> = {
  float32: {
    bytes: 4,
    view: (buffer) => new Float32Array(buffer),
    from: (data) => Float32Array.from(data, Number),
  },
  float64: {
    bytes: 8,
    view: (buffer) => new Float64Array(buffer),
    from: (data) => Float64Array.from(data, Number),
  },
  float16: {
    bytes: 2,
    view: (buffer) => new Uint16Array(buffer),
  },
  int8: {
    bytes: 1,
    view: (buffer) => new Int8Array(buffer),
    from: (data) => Int8Array.from(data, Number),
  },
  int16: {
    bytes: 2,
    view: (buffer) => new Int16Array(buffer),
    from: (data) => Int16Array.from(data, Number),
  },
  int32: {
    bytes: 4,
    view: (buffer) => new Int32Array(buffer),
    from: (data) => Int32Array.from(data, Number),
  },
  int64: {
    bytes: 8,
    view: (buffer) => new BigInt64Array(buffer),
    from: (data) => BigInt64Array.from(data, (it) => BigInt(it)),
  },
  uint8: {
    bytes: 1,
    view: (buffer) => new Uint8Array(buffer),
    from: (data) => Uint8Array.from(data, Number),
  },
  uint16: {
    bytes: 2,
    view: (buffer) => new Uint16Array(buffer),
    from: (data) => Uint16Array.from(data, Number),
  },
  uint32: {
    bytes: 4,
    view: (buffer) => new Uint32Array(buffer),
    from: (data) => Uint32Array.from(data, Number),
  },
  uint64: {
    bytes: 8,
    view: (buffer) => new BigUint64Array(buffer),
    from: (data) => BigUint64Array.from(data, (it) => BigInt(it)),
  },
  bool: {
    bytes: 1,
    view: (buffer) => new Uint8Array(buffer).map((it) => (it === 0 ? 0 : 1)),
    from: (data) => Uint8Array.from(data, Number),
  },
};

/**
 * The array of `dims` that `bytes` hold in little-endian order, copied. Throws a FormatError where they are not
 * exactly its bytes; `what` names it there.
 */
export function arrayOf(
  what: string,
  type: string,
  dims: readonly number[],
  bytes: Uint8Array,
): SampleArray {
  const known = elementTypes[type];
  if (!known) throw new UnsupportedError(`${what} is of type ${type}, which is not known.`);
  const needed = elementsOf(dims) * known.bytes;
  if (!dims.every((size) => Number.isSafeInteger(size) && size >= 0) || needed > maxSampleBytes) {
    throw new FormatError(`${what} has the shape [${dims.join(", ")}], which is too large.`);
  }
  if (needed !== bytes.length) {
    throw new FormatError(
      `${what} has the shape [${dims.join(", ")}] of ${type}, ${needed} bytes; ${bytes.length} are there.`,
    );
  }
  // A copy is aligned, which the file's bytes need not be.
  return { type, data: known.view(new Uint8Array(bytes).buffer), dims };
}
