/** Samples that a visitor gives: JSON as the command takes it. */
import type { Feeds } from "modelshrink/runtime";

/** What makes the elements of a type from JSON's numbers. */
const makers: Readonly<Record<string, (values: number[]) => unknown>> = {
  float32: (values) => Float32Array.from(values),
  float64: (values) => Float64Array.from(values),
  int64: (values) => BigInt64Array.from(values, BigInt),
  int32: (values) => Int32Array.from(values),
  uint8: (values) => Uint8Array.from(values),
  int8: (values) => Int8Array.from(values),
  bool: (values) => Uint8Array.from(values, Number),
};

const example = '[{"input": {"data": [0.5], "dims": [1, 1], "type": "float32"}}]';

/** More is no file that somebody wrote for this. */
const maxBytes = 2 ** 28;

/** Reads one sample or a list of them. Throws an Error in words for a file that has none. */
export async function readSamples(file: Blob): Promise<Feeds[]> {
  if (file.size > maxBytes) throw new Error("The file with inputs is larger than 256 MB.");
  let parsed: unknown;
  try {
    parsed = JSON.parse(await file.text());
  } catch {
    throw new Error(`The file with inputs is no JSON. It looks like this: ${example}`);
  }
  const samples: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  return samples.map((sample) =>
    Object.fromEntries(
      Object.entries(sample ?? {}).map(([name, value]) => {
        const { data, dims, type = "float32" } = (value ?? {}) as Record<string, unknown>;
        const make = Object.hasOwn(makers, String(type)) ? makers[String(type)] : undefined;
        if (!Array.isArray(data) || !Array.isArray(dims) || !make) {
          throw new Error(
            `“${name}” in the file with inputs must be like this: ${example}; the types are ` +
              `${Object.keys(makers).join(", ")}.`,
          );
        }
        const isWhole = data.length === dims.reduce((all: number, it) => all * Number(it), 1);
        if (!isWhole)
          throw new Error(`“${name}” has ${data.length} numbers, which its dims do not.`);
        return [name, { type: String(type), data: make(data as number[]), dims: dims as number[] }];
      }),
    ),
  );
}
