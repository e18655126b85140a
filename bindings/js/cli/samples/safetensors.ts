/** Samples in .safetensors files: tensors by the names of a model's inputs. */
import { FormatError, UnsupportedError } from "../../base/errors.js";
import { arrayOf, type SampleArray } from "./arrays.js";

const types: Readonly<Record<string, string>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
};

/** As in the format's own library. */
const maxHeaderBytes = 100_000_000;

function headerOf(what: string, bytes: Uint8Array): { header: object; data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = bytes.length < 8 ? Infinity : Number(view.getBigUint64(0, true));
  if (length > Math.min(maxHeaderBytes, bytes.length - 8)) {
    throw new FormatError(`${what} is no .safetensors file: its header does not fit into it.`);
  }
  let header: unknown;
  try {
    header = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)),
    );
  } catch (cause) {
    throw new FormatError(`${what} has a header that is no JSON.`, { cause });
  }
  if (typeof header !== "object" || header === null) {
    throw new FormatError(`${what} has a header that is no object.`);
  }
  return { header, data: bytes.subarray(8 + length) };
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((it) => Number.isSafeInteger(it) && (it as number) >= 0);

function tensorOf(what: string, value: unknown, data: Uint8Array): SampleArray {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !isNumbers(shape) || !isNumbers(offsets)) {
    throw new FormatError(`${what} has no proper dtype, shape and data_offsets.`);
  }
  const type = Object.hasOwn(types, dtype) ? types[dtype] : undefined;
  if (type === undefined) {
    throw new UnsupportedError(`${what} is of type ${dtype}, which no input has: save it as F32.`);
  }
  const [begin = 0, end = -1] = offsets;
  if (offsets.length !== 2 || begin > end || end > data.length) {
    throw new FormatError(`${what} lies outside of the file's ${data.length} bytes of data.`);
  }
  return arrayOf(what, type, shape, data.subarray(begin, end));
}

/** The tensors of a .safetensors file by their names. */
export function readSafetensors(what: string, bytes: Uint8Array): Record<string, SampleArray> {
  const { header, data } = headerOf(what, bytes);
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, value]) => [name, tensorOf(`"${name}" of ${what}`, value, data)]),
  );
}
