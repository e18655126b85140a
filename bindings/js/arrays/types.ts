/** The names of number types, and the typed array that holds the codes of each. */
import { bytesOf } from "../base/bytes.js";
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { checkOneOf, list, show, wrongValue } from "../base/options.js";
import { suggestion } from "../base/suggest.js";
import {
  numberTypes,
  type BlockType,
  type Codes,
  type FloatType,
  type IntegerType,
  type QuantizedType,
} from "./number-types.js";

export type { BlockType, Codes, FloatType, IntegerType, QuantizedType };

/** Gives the elements of a block; 1 or, of packed codes, 2 for types without blocks. */
export const blockElementsOf = (type: QuantizedType): number => numberTypes[type].blockElements;

/** Tells whether a type is one of ggml's, which have their scales inside the codes. */
export const isBlockType = (type: QuantizedType): type is BlockType =>
  numberTypes[type].kind === "block";

/** Tells whether two codes share a byte, low nibble first. */
export const isPackedType = (type: QuantizedType): boolean =>
  numberTypes[type].kind === "integer" && numberTypes[type].blockElements === 2;

/** The names of all number types. */
export const quantizedTypes = Object.keys(numberTypes) as QuantizedType[];

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
  const { blockElements, blockBytes } = numberTypes[type];
  return Math.ceil(count / blockElements) * blockBytes;
}

/** Tells whether a type is a float. */
export const isFloatType = (type: QuantizedType): type is FloatType =>
  numberTypes[type].kind === "float";

/** Tells whether a type is a float of 8 bits, which has scales in models. */
export const isFloat8 = (type: QuantizedType): boolean =>
  isFloatType(type) && numberTypes[type].blockBytes === 1;

/** Tells whether codes of a type have no zero points by default: those of signed types, as in onnxruntime. */
export const isSymmetricByDefault = (type: QuantizedType): boolean => !type.startsWith("u");

/** Gives the class of the arrays that hold the codes of a type. */
export const codesOf = (type: QuantizedType) => numberTypes[type].codes;

/** Gives the bytes of codes that a user hands back; throws an ArgumentError when they are of another kind. */
export function codeBytes(name: string, type: QuantizedType, codes: unknown): Uint8Array {
  const expected = numberTypes[type].codes;
  if (ArrayBuffer.isView(codes) && codes instanceof expected) {
    return bytesOf(codes);
  }
  throw wrongValue(`${name} of type ${type}`, codes, expected.name);
}
