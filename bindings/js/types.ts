/** The names of number formats, and which typed array holds each one's codes. */
import { ArgumentError, UnsupportedError } from "./errors.js";
import { checkOneOf, show } from "./options.js";

export type IntegerType = "int8" | "uint8" | "int4" | "uint4" | "int16" | "uint16";
export type FloatType = "float16" | "bfloat16" | "float8e4m3" | "float8e5m2";
export type QuantizedType = IntegerType | FloatType;

/** Codes of a quantized tensor; 4-bit ones are packed in bytes, low nibble first. */
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
};

export const quantizedTypes = Object.keys(codeArrays) as QuantizedType[];

/** Real number formats of other tools, which deserve a better answer than "wrong value". */
const notYet = /^(nf4|fp4|bnb4|i?q\d.*|tq\d.*|mxfp4|nvfp4)$/i;

export function checkType(name: string, value: unknown): QuantizedType {
  if (typeof value === "string" && notYet.test(value)) {
    throw new UnsupportedError(`${name} is ${show(value)}, which is not supported yet.`);
  }
  return checkOneOf(name, value, quantizedTypes);
}

export function bitsOf(type: QuantizedType): number {
  return type.endsWith("int4") ? 4 : codeArrays[type].BYTES_PER_ELEMENT * 8;
}

export const isFloatType = (type: QuantizedType): type is FloatType => type.includes("float");

/** As onnxruntime has it for weights: symmetric when the type is signed. */
export const isSymmetricByDefault = (type: QuantizedType): boolean => !type.startsWith("u");

export function toCodes(type: QuantizedType, bytes: Uint8Array<ArrayBuffer>): Codes {
  return new codeArrays[type](bytes.buffer);
}

/** The bytes of codes that a user hands back, if they are of the right kind. */
export function codeBytes(name: string, type: QuantizedType, codes: unknown): Uint8Array {
  const expected = codeArrays[type];
  if (ArrayBuffer.isView(codes) && codes instanceof expected) {
    return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
  }
  throw new ArgumentError(
    `${name} of type ${type} is ${show(codes)}; it must be ${expected.name}.`,
  );
}
