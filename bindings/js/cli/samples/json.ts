/** Samples as JSON. */
import { FormatError } from "../../base/errors.js";
import { parseJson } from "../json.js";
import type { Feeds } from "../../runtime/session.js";
import { elementTypes, type SampleArray } from "./arrays.js";

type Values = readonly (number | boolean | string)[];

const makers: Readonly<Record<string, (values: Values) => unknown>> = {
  ...Object.fromEntries(
    Object.entries(elementTypes).flatMap(([name, { from }]) => (from ? [[name, from]] : [])),
  ),
  string: (values) => values.map(String),
};

function tensorOf(what: string, value: unknown): SampleArray {
  const { data, dims, type = "float32" } = (value ?? {}) as Record<string, unknown>;
  const make = typeof type === "string" && Object.hasOwn(makers, type) ? makers[type] : undefined;
  if (!Array.isArray(data) || !Array.isArray(dims) || !make) {
    throw new FormatError(
      `${what} must be {"data": [numbers], "dims": [sizes], "type": one of ` +
        `${Object.keys(makers).join(", ")}}.`,
    );
  }
  try {
    return { type: type as string, data: make(data as Values), dims: dims as number[] };
  } catch (cause) {
    throw new FormatError(`${what} holds what is no ${String(type)}: ${String(cause)}.`, { cause });
  }
}

/** The samples of a JSON text, which is one sample or a list of them. */
export function readJson(what: string, bytes: Uint8Array): Feeds[] {
  const samples = parseJson(what, bytes);
  const list: unknown[] = Array.isArray(samples) ? samples : [samples];
  return list.map((sample, i) =>
    Object.fromEntries(
      Object.entries(sample ?? {}).map(([name, value]) => [
        name,
        tensorOf(`"${name}" of sample ${i} in ${what}`, value),
      ]),
    ),
  );
}
