/** Arrays without their zeros. */
import { ArgumentError } from "../base/errors.js";
import {
  checkFloats,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  show,
} from "../base/options.js";
import { checkShape, elementsOf, maxDimension } from "../base/shape.js";
import { copyOut, withScratch } from "../core/heap.js";
import { unwrap } from "../core/load.js";
import type { CoreSparseShape } from "../core/types.js";

export const sparseFormats = ["csr", "csc", "coo", "bsr", "bitmask", "n:m", "2:4"] as const;
export type SparseFormat = (typeof sparseFormats)[number];

export interface SparseOptions {
  format: SparseFormat;
  /** By default one dimension. Rows are those of the last dimension. */
  shape?: readonly number[];
  /** Of "bsr": [rows, columns]; those at the edges may be cut. */
  blockShape?: readonly [number, number];
  /** Of "n:m": at most n of each m in a row are not zero. */
  n?: number;
  m?: number;
}

/** Plain and structured-cloneable; what a format does not need is left out. */
export interface SparseArray {
  format: SparseFormat;
  shape: number[];
  /** What is not zero; of "bsr" whole blocks, of "n:m" n of each run. */
  values: Float32Array;
  /** Of "csr", "bsr" for each row (of blocks), of "csc" for each column: where its entries begin. */
  indptr?: Uint32Array;
  /**
   * Of "csr" and "bsr" columns, of "csc" rows, of "coo" places in row-major order; 16 bits where
   * they suffice.
   */
  indices?: Uint16Array | Uint32Array;
  /** Of "bitmask": a bit an element, lowest first, each row padded to whole bytes. */
  mask?: Uint8Array;
  /**
   * Of "n:m" and "2:4": the positions of the values in their runs, ceil(log2 m) bits each, lowest
   * first, each row padded to whole bytes. Of "2:4" the nibbles of torch.sparse: idx0 | idx1 << 2.
   */
  metadata?: Uint8Array;
  blockShape?: [number, number];
  n?: number;
  m?: number;
}

export interface SparseSizes {
  /** The smallest; "dense" where no sparse form is smaller. */
  best: SparseFormat | "dense" | "bsr 1×4" | "bsr 4×4";
  bytes: number;
  /** Of every form that fits, in ascending order. */
  sizes: Record<string, number>;
}

const optionKeys = ["format", "shape", "blockShape", "n", "m"] as const;
const arrayKeys = [...optionKeys, "values", "indptr", "indices", "mask", "metadata"] as const;

interface Checked {
  format: SparseFormat;
  shape: number[];
  core: CoreSparseShape;
}

/** The last dimension's rows. */
function matrixOf(shape: readonly number[]) {
  const columns = shape.at(-1) ?? 1;
  const size = elementsOf(shape);
  return { rows: columns === 0 ? 0 : size / columns, columns };
}

function checkBlockShape(value: unknown): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw new ArgumentError(`blockShape is ${show(value)}; it must be [rows, columns].`);
  }
  return value.map((size, i) => checkInteger(`blockShape[${i}]`, size, 1, maxDimension)) as [
    number,
    number,
  ];
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

/** How many bits an index takes, by the largest that there can be. */
const indexArray = ({ form, rows, columns, blockColumns }: CoreSparseShape) => {
  const limits = { csr: columns, csc: rows, coo: rows * columns, bsr: columns / blockColumns };
  const limit = form === "bitmask" || form === "n:m" ? 0 : limits[form];
  return limit <= limit16 ? Uint16Array : Uint32Array;
};

/** An array without its zeros; -0 comes back as 0. */
export function toSparse(x: Float32Array, options: SparseOptions): SparseArray {
  checkFloats("x", x);
  const given = checkObject("options", options);
  checkKeys("options", given, optionKeys);
  const { format, shape, core: sparse } = checkSparse(given, x.length);
  return withScratch((core, scratch) => {
    const parts = unwrap(core.toSparse(sparse, scratch.copyIn(x)));
    const bytes = (part: keyof typeof parts) => copyOut(core, parts[part]);
    const numbers = (part: "pointers" | "indices") => new Uint32Array(bytes(part).buffer);
    const hasPointers = sparse.form === "csr" || sparse.form === "csc" || sparse.form === "bsr";
    const isPattern = sparse.form === "n:m";
    return {
      ...{ format, shape, values: new Float32Array(bytes("values").buffer) },
      ...(hasPointers ? { indptr: numbers("pointers") } : {}),
      ...(hasPointers || format === "coo"
        ? { indices: new (indexArray(sparse))(numbers("indices")) }
        : {}),
      ...(format === "bitmask" ? { mask: bytes("bits") } : {}),
      ...(isPattern ? { metadata: bytes("bits"), n: sparse.n, m: sparse.m } : {}),
      ...(format === "bsr"
        ? { blockShape: [sparse.blockRows, sparse.blockColumns] as [number, number] }
        : {}),
    };
  });
}

function numbersFrom(name: string, value: unknown): Uint32Array | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Uint32Array) return value;
  if (value instanceof Uint16Array) return Uint32Array.from(value);
  throw new ArgumentError(`${name} is ${show(value)}; it must be a Uint32Array or Uint16Array.`);
}

function bytesFrom(name: string, value: unknown): Uint8Array | undefined {
  if (value === undefined || value instanceof Uint8Array) return value;
  throw new ArgumentError(`${name} is ${show(value)}; it must be a Uint8Array.`);
}

/** The dense array; what the parts say of places and sizes is checked. */
export function fromSparse(array: SparseArray): Float32Array {
  const given = checkObject("array", array);
  checkKeys("array", given, arrayKeys);
  const { shape, core: sparse } = checkSparse(given);
  const values = checkFloats("values", given.values);
  const pointers = numbersFrom("indptr", given.indptr);
  const indices = numbersFrom("indices", given.indices);
  const bits = bytesFrom("mask", given.mask) ?? bytesFrom("metadata", given.metadata);
  return withScratch((core, scratch) => {
    const out = scratch.allocate(elementsOf(shape) * Float32Array.BYTES_PER_ELEMENT);
    const parts = {
      values: scratch.copyIn(values),
      ...(pointers ? { pointers: scratch.copyIn(pointers) } : {}),
      ...(indices ? { indices: scratch.copyIn(indices) } : {}),
      ...(bits ? { bits: scratch.copyIn(bits) } : {}),
    };
    unwrap(core.fromSparse(sparse, parts, out));
    return new Float32Array(copyOut(core, out).buffer);
  });
}

/** The bytes of a form with so many entries. */
function bytesOf(shape: CoreSparseShape, entries: number, bytesPerValue: number): number {
  const { form, rows, columns, blockRows, blockColumns, n, m } = shape;
  const index = indexArray(shape).BYTES_PER_ELEMENT;
  switch (form) {
    case "csr":
      return entries * (bytesPerValue + index) + (rows + 1) * 4;
    case "csc":
      return entries * (bytesPerValue + index) + (columns + 1) * 4;
    case "coo":
      return entries * (bytesPerValue + index);
    case "bsr":
      return (
        entries * (bytesPerValue * blockRows * blockColumns + index) +
        (Math.ceil(rows / blockRows) + 1) * 4
      );
    case "bitmask":
      return entries * bytesPerValue + rows * Math.ceil(columns / 8);
    case "n:m": {
      const bits = Math.ceil(columns / m) * n * Math.ceil(Math.log2(m));
      return entries * bytesPerValue + rows * Math.ceil(bits / 8);
    }
  }
}

/** How large each form of an array is, and which is the smallest. */
export function bestSparse(
  x: Float32Array,
  options: { shape?: readonly number[]; /** 4 by default: float32. */ bytesPerValue?: number } = {},
): SparseSizes {
  checkFloats("x", x);
  const given = checkObject("options", options);
  checkKeys("options", given, ["shape", "bytesPerValue"]);
  const shape = checkShape(given.shape ?? [x.length], x.length);
  const bytesPerValue = given.bytesPerValue ?? 4;
  if (typeof bytesPerValue !== "number" || !(bytesPerValue > 0)) {
    throw new ArgumentError(`bytesPerValue is ${show(bytesPerValue)}; it must be above 0.`);
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
    const values = scratch.copyIn(x);
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
