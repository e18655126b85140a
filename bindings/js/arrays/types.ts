/** The names of number types, and the typed array that holds the codes of each. */
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { checkOneOf, list, show } from "../base/options.js";
import { suggestion } from "../base/suggest.js";

/** Integer types, which have scales and zero points. */
export type IntegerType = "int8" | "uint8" | "int4" | "uint4" | "int16" | "uint16";
/** Float types, which need no scales. */
export type FloatType = "float16" | "bfloat16" | "float8e4m3" | "float8e5m2";
/** ggml's block formats: 32 elements of a row share a float16 scale inside the codes. */
export type BlockType = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0";
/** All number types that weights can be written as. */
export type QuantizedType = IntegerType | FloatType | BlockType;

/** The codes of a quantized tensor; those of 4 bits are packed in bytes, low nibble first. */
export type Codes = Int8Array | Uint8Array | Int16Array | Uint16Array;

interface CodeArray {
  new (buffer: ArrayBuffer): Codes;
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
}

const codeArrays: Record<QuantizedType, CodeArray> = {
  int8: Int8Array,
  uint8: Uint8Array,
  int4: Uint8Array,
  uint4: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float8e4m3: Uint8Array,
  float8e5m2: Uint8Array,
  Q4_0: Uint8Array,
  Q4_1: Uint8Array,
  Q5_0: Uint8Array,
  Q5_1: Uint8Array,
  Q8_0: Uint8Array,
};

/** The number of elements of a ggml block. */
export const ggmlBlockSize = 32;

const blockBytes: Record<BlockType, number> = { Q4_0: 18, Q4_1: 20, Q5_0: 22, Q5_1: 24, Q8_0: 34 };

/** Tells whether a type is one of ggml's. */
export const isBlockType = (type: QuantizedType): type is BlockType =>
  Object.hasOwn(blockBytes, type);

/** Tells whether a stored type is one that leaves out zeros, such as "float32 sparse". */
export const isSparseType = (type: string) => type.endsWith(" sparse");

/** The names of all number types. */
export const quantizedTypes = Object.keys(codeArrays) as QuantizedType[];

/** Real number formats of other tools, which deserve a better answer than "wrong value". */
const notYet = /^(nf4|fp4|bnb4|i?q\d.*|tq\d.*|mxfp4|nvfp4)$/i;

/** Names that presets and other tools have for a type, for a better answer than "wrong value". */
const otherNames: Readonly<Record<string, QuantizedType>> = {
  fp16: "float16",
  bf16: "bfloat16",
  fp8: "float8e4m3",
  dynamic: "uint8",
  q8: "uint8",
  q4: "uint4",
};

/** Gives `value` when it is a number type; throws an ArgumentError with a suggestion, or an UnsupportedError. */
export function checkType(name: string, value: unknown): QuantizedType {
  const isKnown = quantizedTypes.includes(value as QuantizedType);
  if (typeof value !== "string" || isKnown) return checkOneOf(name, value, quantizedTypes);
  const inOtherCase = quantizedTypes.find((type) => type.toLowerCase() === value.toLowerCase());
  if (inOtherCase === undefined && notYet.test(value)) {
    throw new UnsupportedError(`${name} is ${show(value)}, which is not supported yet.`);
  }
  const meant = inOtherCase ?? (Object.hasOwn(otherNames, value) ? otherNames[value]! : value);
  throw new ArgumentError(
    `${name} is ${show(value)}; it must be one of ${list(quantizedTypes)}.` +
      suggestion(meant, quantizedTypes),
  );
}

/** Gives the bytes that the codes of `count` elements take; a last block that is not full is padded. */
export function codeBytesOf(type: QuantizedType, count: number): number {
  if (isBlockType(type)) return Math.ceil(count / ggmlBlockSize) * blockBytes[type];
  return type.endsWith("int4") ? Math.ceil(count / 2) : count * codeArrays[type].BYTES_PER_ELEMENT;
}

/** Tells whether a type is a float. */
export const isFloatType = (type: QuantizedType): type is FloatType => type.includes("float");

/** Tells whether codes of a type have no zero points by default: those of signed types, as in onnxruntime. */
export const isSymmetricByDefault = (type: QuantizedType): boolean => !type.startsWith("u");

/** Makes the bytes of codes the typed array of their type, without a copy. */
export function toCodes(type: QuantizedType, bytes: Uint8Array<ArrayBuffer>): Codes {
  return new codeArrays[type](bytes.buffer);
}

/** Gives the bytes of codes that a user hands back; throws an ArgumentError when they are of another kind. */
export function codeBytes(name: string, type: QuantizedType, codes: unknown): Uint8Array {
  const expected = codeArrays[type];
  if (ArrayBuffer.isView(codes) && codes instanceof expected) {
    return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
  }
  throw new ArgumentError(
    `${name} of type ${type} is ${show(codes)}; it must be ${expected.name}.`,
  );
}
