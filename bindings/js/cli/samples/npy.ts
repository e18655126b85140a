/** Arrays of NumPy: .npy files, and .npz, which are zip archives of them. */
import { FormatError, UnsupportedError } from "../../base/errors.js";
import { elementsOf } from "../../base/shape.js";
import { arrayOf, elementTypes, type SampleArray } from "./arrays.js";
import { unzip } from "./zip.js";

const magic = "\u0093NUMPY";
const text = new TextDecoder("latin1");

/** The types of NumPy by what their "descr" says behind the byte order. */
const types: Readonly<Record<string, string>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

interface Header {
  type: string;
  dims: number[];
  isFortranOrder: boolean;
  /** The byte where the values begin. */
  start: number;
}

function typeOf(what: string, descr: string): string {
  const [, order = "", kind = ""] = /^([<>|=])(\w+)$/.exec(descr) ?? [];
  const type = Object.hasOwn(types, kind) ? types[kind] : undefined;
  if (type === undefined) {
    throw new UnsupportedError(
      `${what} is of NumPy's type ${descr}, which is no number type: save it with a.astype("float32").`,
    );
  }
  if (order === ">" && elementTypes[type]!.bytes > 1) {
    throw new UnsupportedError(
      `${what} is big-endian (${descr}): save it with a.astype("<${kind}").`,
    );
  }
  return type;
}

function headerOf(what: string, bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || text.decode(bytes.subarray(0, 6)) !== magic) {
    throw new FormatError(`${what} is no .npy file.`);
  }
  const isFirstVersion = bytes[6] === 1;
  const length = isFirstVersion ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = (isFirstVersion ? 10 : 12) + length;
  if (start > bytes.length) throw new FormatError(`${what} ends within its header.`);
  const header = text.decode(bytes.subarray(start - length, start));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || shape === undefined) {
    throw new UnsupportedError(
      `${what} has a header that is not understood; it must be a plain array of numbers.`,
    );
  }
  const dims = shape
    .split(",")
    .map((size) => size.trim().replace(/L$/, ""))
    .filter((size) => size !== "")
    .map(Number);
  return { type: typeOf(what, descr), dims, isFortranOrder: order === "True", start };
}

/** Values whose first axis varies fastest, as values whose last one does. */
function toRowOrder(bytes: Uint8Array, dims: readonly number[], size: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  const index = dims.map(() => 0);
  const steps = dims.map((_, axis) => elementsOf(dims.slice(0, axis)) * size);
  for (let to = 0; to < result.length; to += size) {
    const from = index.reduce((sum, it, axis) => sum + it * steps[axis]!, 0);
    result.set(bytes.subarray(from, from + size), to);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < dims[axis]!) break;
      index[axis] = 0;
    }
  }
  return result;
}

/** The array of a .npy file; `what` names it in errors. */
export function readNpy(what: string, bytes: Uint8Array): SampleArray {
  const { type, dims, isFortranOrder, start } = headerOf(what, bytes);
  const values = bytes.subarray(start);
  const array = arrayOf(what, type, dims, values);
  if (!isFortranOrder || dims.length < 2) return array;
  return arrayOf(what, type, dims, toRowOrder(values, dims, elementTypes[type]!.bytes));
}

/** The arrays of a .npz file by their names. */
export function readNpz(what: string, bytes: Uint8Array): Record<string, SampleArray> {
  const arrays = unzip(what, bytes).map(({ name, content }) => {
    if (!name.endsWith(".npy")) throw new FormatError(`${what} holds "${name}", which is no .npy.`);
    const key = name.slice(0, -".npy".length);
    return [key, readNpy(`"${key}" of ${what}`, content())] as const;
  });
  return Object.fromEntries(arrays);
}
