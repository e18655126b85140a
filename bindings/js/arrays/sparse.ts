/** Sparse forms: arrays without their zeros. */
import { ArgumentError } from "../base/errors.js";
import { checkInteger, checkKeys, checkObject, checkOneOf, wrongValue } from "../base/options.js";
import { isA } from "../base/tags.js";
import { checkBlockShape, checkShape, elementsOf } from "../base/shape.js";
import { copyOut, copyOut32, withScratch } from "../core/heap.js";
import { unwrap } from "../core/load.js";
import type { CoreSparseShape } from "../core/types.js";
import { checkFloats, type Floats } from "./floats.js";
import { outOf, takeFloats, takeFrom, type OutOptions } from "./out.js";

/** The names of all sparse forms. */
const sparseFormats = ["csr", "csc", "coo", "bsr", "bitmask", "n:m", "2:4"] as const;
/**
 * A sparse form of a matrix: compressed rows ("csr") or columns ("csc"), coordinates ("coo"), blocks ("bsr"), a bit
 * for each element ("bitmask"), at most n of each m neighbours ("n:m"), and torch's "2:4".
 */
export type SparseFormat = (typeof sparseFormats)[number];

/** The options of {@link toSparse}. */
export interface SparseOptions {
  /** The form. */
  format: SparseFormat;
  /** The sizes of the dimensions; by default one. Rows are those of the last dimension. */
  shape?: readonly number[];
  /** The size of a block of "bsr", [rows, columns]; blocks at the edges may be cut. */
  blockShape?: readonly [number, number];
  /** The number of elements of each `m` in a row of "n:m" that may be other than zero. */
  n?: number;
  /** The length of a run of "n:m", above `n`, at most 64. */
  m?: number;
  /**
   * An earlier result of the same form and shape, whose arrays are written again: no memory is allocated. They may be
   * longer than the new result, whose arrays are then views of their beginnings; they may not overlap x. After an
   * error they may hold part of the new result.
   */
  out?: SparseArray;
}

/** An array without its zeros, plain and structured-cloneable; parts that a form does not need are left out. */
export interface SparseArray {
  /** The form. */
  format: SparseFormat;
  /** The sizes of the dimensions of the dense array. */
  shape: number[];
  /** The values that are not zero, in row-major order; whole blocks of "bsr", n of each run of "n:m". */
  values: Float32Array;
  /** The index of the first entry of each row ("csr"), row of blocks ("bsr") or column ("csc"), and of the end. */
  indptr?: Uint32Array;
  /**
   * The columns of the entries ("csr", "bsr" in blocks), their rows ("csc") or their places in row-major order
   * ("coo"); 16 bits each where they suffice.
   */
  indices?: Uint16Array | Uint32Array;
  /** A bit for each element of "bitmask", lowest first, each row padded to whole bytes. */
  mask?: Uint8Array;
  /**
   * The positions of the values of "n:m" and "2:4" in their runs, ceil(log2 m) bits each, lowest first, each row
   * padded to whole bytes. Those of "2:4" are the nibbles of torch.sparse: idx0 | idx1 << 2.
   */
  metadata?: Uint8Array;
  /** The size of a block of "bsr": [rows, columns]. */
  blockShape?: [number, number];
  /** The n of "n:m". */
  n?: number;
  /** The m of "n:m". */
  m?: number;
}

/** The result of {@link bestSparse}. */
export interface SparseSizes {
  /** The smallest form; "dense" where no sparse form is smaller. */
  best: SparseFormat | "dense" | "bsr 1×4" | "bsr 4×4";
  /** Its size in bytes. */
  bytes: number;
  /** The size in bytes of every form that fits, in ascending order. */
  sizes: Record<string, number>;
}

const optionKeys = ["format", "shape", "blockShape", "n", "m"] as const;
const arrayKeys = [...optionKeys, "values", "indptr", "indices", "mask", "metadata"] as const;

interface Checked {
  format: SparseFormat;
  shape: number[];
  core: CoreSparseShape;
}

/** Gives a shape as a matrix whose rows are those of the last dimension. */
function matrixOf(shape: readonly number[]) {
  const columns = shape.at(-1) ?? 1;
  const size = elementsOf(shape);
  return { rows: columns === 0 ? 0 : size / columns, columns };
}

function checkSparse(given: Record<string, unknown>, count?: number): Checked {
  const format = checkOneOf("format", given.format, sparseFormats);
  const shape = checkShape(given.shape ?? [count ?? 0], count);
  const isPattern = format === "n:m" || format === "2:4";
  const [blockRows, blockColumns] =
    format === "bsr" ? checkBlockShape(given.blockShape) : ([1, 1] as const);
  if (format === "2:4" && ((given.n ?? 2) !== 2 || (given.m ?? 4) !== 4)) {
    throw new ArgumentError('format "2:4" has n 2 and m 4; give "n:m" for others.');
  }
  const n = format === "n:m" ? checkInteger("n", given.n, 1, 63) : isPattern ? 2 : 0;
  const m = format === "n:m" ? checkInteger("m", given.m, n + 1, 64) : isPattern ? 4 : 0;
  const form = isPattern ? "n:m" : format;
  return { format, shape, core: { form, ...matrixOf(shape), blockRows, blockColumns, n, m } };
}

/** 16 bits suffice for numbers below this. */
const limit16 = 2 ** 16;

/** Gives the array type of indices, by the largest that there can be. */
const indexArray = ({ form, rows, columns, blockColumns }: CoreSparseShape) => {
  const limits: Partial<Record<typeof form, number>> = {
    csr: columns,
    csc: rows,
    coo: rows * columns,
    bsr: columns / blockColumns,
  };
  const limit = limits[form] ?? 0;
  return limit <= limit16 ? Uint16Array : Uint32Array;
};

/**
 * Leaves out an array's zeros; −0 comes back as 0. Needs `init()`.
 *
 * @throws {@link ArgumentError} for a wrong option, or an array that breaks the pattern n:m; {@link
 *   OutOfMemoryError}.
 */
export function toSparse(x: Floats, options: SparseOptions): SparseArray {
  const floats = checkFloats("x", x);
  const given = checkObject("options", options);
  checkKeys("options", given, [...optionKeys, "out"]);
  const { format, shape, core: sparse } = checkSparse(given, x.length);
  const take = takeFrom(given.out, [floats], "out.", true);
  return withScratch((core, scratch) => {
    const parts = unwrap(core.toSparse(sparse, scratch.copyIn(floats)));
    const isPattern = sparse.form === "n:m";
    const hasBits = isPattern || format === "bitmask";
    const bitsKey = isPattern ? "metadata" : "mask";
    const numOf = (part: "values" | "pointers" | "indices") => parts[part].size / 4;
    const values = take("values", Float32Array, numOf("values"));
    // There is one at least where a form has pointers.
    const indptr = numOf("pointers") > 0 && take("indptr", Uint32Array, numOf("pointers"));
    const indices =
      !hasBits && take<Uint16Array | Uint32Array>("indices", indexArray(sparse), numOf("indices"));
    const bits = hasBits && take(bitsKey, Uint8Array, parts.bits.size);
    copyOut(core, parts.values, values);
    if (indptr) copyOut(core, parts.pointers, indptr);
    if (indices) copyOut32(core, parts.indices, indices);
    if (bits) copyOut(core, parts.bits, bits);
    return {
      ...{ format, shape, values },
      ...(indptr ? { indptr } : {}),
      ...(indices ? { indices } : {}),
      ...(bits ? { [bitsKey]: bits } : {}),
      ...(isPattern ? { n: sparse.n, m: sparse.m } : {}),
      ...(format === "bsr"
        ? { blockShape: [sparse.blockRows, sparse.blockColumns] as [number, number] }
        : {}),
    };
  });
}

/** Gives an array of one of these classes, or undefined; throws an ArgumentError for anything else. */
function checkPart(name: string, value: unknown, ...kinds: readonly string[]): unknown {
  if (value === undefined || isA(value, ...kinds)) return value;
  throw wrongValue(name, value, `a ${kinds.join(" or ")}`);
}

type Indices = Uint16Array | Uint32Array | undefined;
const indexKinds = ["Uint32Array", "Uint16Array"] as const;

/**
 * Gives the dense array. Every index and size that the parts have is checked. Needs `init()`.
 *
 * @throws {@link ArgumentError} or {@link FormatError} when the parts do not fit together.
 */
export function fromSparse(array: SparseArray, options: OutOptions | number = {}): Float32Array {
  const out = outOf(options);
  const given = checkObject("array", array);
  checkKeys("array", given, arrayKeys);
  const { shape, core: sparse } = checkSparse(given);
  const values = checkFloats("values", given.values);
  const [pointers, indices] = (["indptr", "indices"] as const).map(
    (key) => checkPart(key, given[key], ...indexKinds) as Indices,
  );
  const [mask, metadata] = (["mask", "metadata"] as const).map(
    (key) => checkPart(key, given[key], "Uint8Array") as Uint8Array | undefined,
  );
  const bits = mask ?? metadata;
  return withScratch((core, scratch) => {
    const inputs = [values, pointers, indices, bits].filter((it) => it !== undefined);
    const place = scratch.allocate(elementsOf(shape) * Float32Array.BYTES_PER_ELEMENT);
    const dense = takeFloats(out, inputs, elementsOf(shape));
    const parts = {
      values: scratch.copyIn(values),
      ...(pointers ? { pointers: scratch.copyIn32(pointers) } : {}),
      ...(indices ? { indices: scratch.copyIn32(indices) } : {}),
      ...(bits ? { bits: scratch.copyIn(bits) } : {}),
    };
    unwrap(core.fromSparse(sparse, parts, place));
    return copyOut(core, place, dense);
  });
}

/** Gives the bytes of a form with so many entries. */
function bytesOf(shape: CoreSparseShape, entries: number, bytesPerValue: number): number {
  const { form, rows, columns, blockRows, blockColumns, n, m } = shape;
  const index = indexArray(shape).BYTES_PER_ELEMENT;
  switch (form) {
    case "coo":
      return entries * (bytesPerValue + index);
    case "bitmask":
      return entries * bytesPerValue + rows * Math.ceil(columns / 8);
    case "n:m": {
      const bits = Math.ceil(columns / m) * n * Math.ceil(Math.log2(m));
      return entries * bytesPerValue + rows * Math.ceil(bits / 8);
    }
    default: {
      // An entry of "csr" and "csc" is a block of one value.
      const lines = form === "csc" ? columns : Math.ceil(rows / blockRows);
      return entries * (bytesPerValue * blockRows * blockColumns + index) + (lines + 1) * 4;
    }
  }
}

/** The options of {@link bestSparse}. */
export interface SparseSizeOptions {
  /** The sizes of the dimensions; by default one. Rows are those of the last dimension. */
  shape?: readonly number[];
  /** The bytes that a value takes; 4 by default, as float32. */
  bytesPerValue?: number;
}

/**
 * Says how large each form of an array is, and which is the smallest. Needs `init()`.
 *
 * @throws {@link ArgumentError} for a wrong option.
 */
export function bestSparse(x: Floats, options: SparseSizeOptions = {}): SparseSizes {
  const floats = checkFloats("x", x);
  const given = checkObject("options", options);
  checkKeys("options", given, ["shape", "bytesPerValue"]);
  const shape = checkShape(given.shape ?? [x.length], x.length);
  const bytesPerValue = given.bytesPerValue ?? 4;
  if (typeof bytesPerValue !== "number" || !(bytesPerValue > 0)) {
    throw wrongValue("bytesPerValue", bytesPerValue, "above 0");
  }
  const plain = { ...matrixOf(shape), blockRows: 1, blockColumns: 1, n: 0, m: 0 };
  const forms: Record<string, CoreSparseShape> = {
    csr: { form: "csr", ...plain },
    csc: { form: "csc", ...plain },
    coo: { form: "coo", ...plain },
    bitmask: { form: "bitmask", ...plain },
    "bsr 1×4": { form: "bsr", ...plain, blockColumns: 4 },
    "bsr 4×4": { form: "bsr", ...plain, blockRows: 4, blockColumns: 4 },
    "2:4": { form: "n:m", ...plain, n: 2, m: 4 },
  };
  const found = withScratch((core, scratch) => {
    const values = scratch.copyIn(floats);
    return Object.entries(forms).flatMap(([name, form]): [string, number][] => {
      const { count } = unwrap(core.numEntries(form, values));
      const fits = form.form !== "n:m" || count > 0;
      return fits ? [[name, bytesOf(form, count, bytesPerValue)]] : [];
    });
  });
  const sorted = [["dense", x.length * bytesPerValue] as [string, number], ...found].sort(
    ([, a], [, b]) => a - b,
  );
  const [best, bytes] = sorted[0]!;
  return { best: best as SparseSizes["best"], bytes, sizes: Object.fromEntries(sorted) };
}
