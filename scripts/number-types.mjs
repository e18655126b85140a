// The TypeScript that follows from the rows of NUMBER_TYPE of src/base/number_types.def.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../tests/support/run.mjs";

/** Gives the text of bindings/js/arrays/number-types.ts: the rows that something is quantized to. */
export async function numberTypes() {
  const table = await readFile(join(root, "src/base/number_types.def"), "utf8");
  const rows = [...table.matchAll(/^NUMBER_TYPE\((.*)\)$/gm)].map(([, row]) => {
    const [, name, kind, elements, bytes, , , , , codes] = row.split(", ");
    return { name, kind, elements, bytes, codes: JSON.parse(codes) };
  });
  const kinds = { integer: "kLinear", float: "kNarrowFloat", block: "kGgmlBlock" };
  const ofKind = (kind) => rows.filter((row) => row.kind === kinds[kind]);
  const union = (kind) =>
    ofKind(kind)
      .map(({ name }) => name)
      .join(" | ");
  const entries = Object.keys(kinds).flatMap((kind) =>
    ofKind(kind).map(
      ({ name, elements, bytes, codes }) =>
        `${name}: { kind: "${kind}", blockElements: ${elements}, blockBytes: ${bytes}, codes: ${codes} },`,
    ),
  );
  return `/** The number formats that weights are quantized to. Written by scripts/generate.mjs from src/base/number_types.def. */

/** Integer types, whose codes stand for (code - zero point) * scale. */
export type IntegerType = ${union("integer")};
/** Float types of fewer bits, without scales. */
export type FloatType = ${union("float")};
/** ggml's block formats: the elements of a block of a row share a float16 scale inside the codes. */
export type BlockType = ${union("block")};
/** All number types that weights can be written as. */
export type QuantizedType = IntegerType | FloatType | BlockType;

/** The codes of a quantized tensor; those of 4 bits are packed in bytes, low nibble first. */
export type Codes = ${[...new Set(rows.map(({ codes }) => codes))].filter(Boolean).join(" | ")};

/** A row of the table. */
export interface NumberType {
  kind: ${Object.keys(kinds)
    .map((kind) => `"${kind}"`)
    .join(" | ")};
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
${entries.join("\n")}
};
`;
}
