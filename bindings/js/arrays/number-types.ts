/** The number formats that weights are quantized to. Written by scripts/generate.mjs from src/base/number_types.def. */

/** Integer types, whose codes stand for (code - zero point) * scale. */
export type IntegerType = "int8" | "uint8" | "int4" | "uint4" | "int16" | "uint16";
/** Float types of fewer bits, without scales. */
export type FloatType = "float16" | "bfloat16" | "float8e4m3" | "float8e5m2";
/** ggml's block formats: the elements of a block of a row share a float16 scale inside the codes. */
export type BlockType = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0";
/** All number types that weights can be written as. */
export type QuantizedType = IntegerType | FloatType | BlockType;

/** The codes of a quantized tensor; those of 4 bits are packed in bytes, low nibble first. */
export type Codes = Uint16Array | Uint8Array | Int8Array | Int16Array;

/** A row of the table. */
export interface NumberType {
  kind: "integer" | "float" | "block";
  /** The smallest number of elements that occupies whole bytes, and those bytes. */
  blockElements: number;
  blockBytes: number;
  codes: {
    new (length: number): Codes;
    readonly name: string;
    readonly BYTES_PER_ELEMENT: number;
  };
}

/** The number types by name. */
export const numberTypes: Readonly<Record<QuantizedType, NumberType>> = {
  int8: { kind: "integer", blockElements: 1, blockBytes: 1, codes: Int8Array },
  uint8: { kind: "integer", blockElements: 1, blockBytes: 1, codes: Uint8Array },
  int4: { kind: "integer", blockElements: 2, blockBytes: 1, codes: Uint8Array },
  uint4: { kind: "integer", blockElements: 2, blockBytes: 1, codes: Uint8Array },
  int16: { kind: "integer", blockElements: 1, blockBytes: 2, codes: Int16Array },
  uint16: { kind: "integer", blockElements: 1, blockBytes: 2, codes: Uint16Array },
  float16: { kind: "float", blockElements: 1, blockBytes: 2, codes: Uint16Array },
  bfloat16: { kind: "float", blockElements: 1, blockBytes: 2, codes: Uint16Array },
  float8e4m3: { kind: "float", blockElements: 1, blockBytes: 1, codes: Uint8Array },
  float8e5m2: { kind: "float", blockElements: 1, blockBytes: 1, codes: Uint8Array },
  Q4_0: { kind: "block", blockElements: 32, blockBytes: 18, codes: Uint8Array },
  Q4_1: { kind: "block", blockElements: 32, blockBytes: 20, codes: Uint8Array },
  Q5_0: { kind: "block", blockElements: 32, blockBytes: 22, codes: Uint8Array },
  Q5_1: { kind: "block", blockElements: 32, blockBytes: 24, codes: Uint8Array },
  Q8_0: { kind: "block", blockElements: 32, blockBytes: 34, codes: Uint8Array },
};
