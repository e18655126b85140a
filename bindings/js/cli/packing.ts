/** The commands that pack and unpack. */
import { lstat, stat } from "node:fs/promises";
import { packExtension } from "../base/formats.js";
import { visible } from "../base/visible.js";
import type { OneSource } from "../files/source.js";
import { pack } from "../pack/pack.js";
import type { PackResult } from "../pack/types.js";
import { unpack } from "../pack/unpack.js";
import { plural } from "../text.js";
import { sizesText } from "./batch.js";
import type { Context, Invocation, Outcome } from "./command.js";
import { packedOutput, refuseLink, standardStream, unpackedOutput } from "./outputs.js";
import { growthFrom, runOptions, sourceOf } from "./reading.js";
import { standardOutputSink, writingToStandardOutput } from "./standard-streams.js";
import { UsageError } from "./usage-error.js";
import { checkStandardOutput, workersFrom } from "./writing.js";

/** The place that -o names, or the one beside the input, which `beside` gives. */
async function outputOf({ operands: [input = ""], values }: Invocation, beside: string) {
  const { output } = values;
  if (output === "") throw new UsageError("-o has no path.");
  if (output === undefined && input === standardStream) {
    throw new UsageError("Standard input needs -o <path>, or -o - for standard output.");
  }
  if (output === undefined) await refuseLink(beside);
  return output ?? beside;
}

function outcomeOf({ report }: PackResult, verb: string, where: string): Outcome {
  const { inputBytes, outputBytes, files, warnings = [] } = report;
  const text = [
    `${plural(files.length, "file")} ${verb}: ${sizesText({ inputBytes, outputBytes })}`,
    ...warnings.map((it) => `Warning: ${visible(it)}`),
    `Written to ${where}`,
  ].join("\n");
  return { text, json: { output: where, ...report } };
}

export async function runPack(invocation: Invocation, context: Context): Promise<Outcome> {
  checkStandardOutput(invocation);
  const [input = ""] = invocation.operands;
  const output = await outputOf(invocation, packedOutput(input));
  const isPiped = output === standardStream;
  const source = await sourceOf(input, context);
  const sink = isPiped ? process.stdout : output;
  const work = () => pack(source, { ...runOptions(context), sink });
  const result = await (isPiped ? writingToStandardOutput(work) : work());
  const isFolder = !isPiped && (await stat(output)).isDirectory();
  const where = isFolder ? `${output} (as ${packedOutput(input)})` : output;
  return outcomeOf(result, "packed", isPiped ? "standard output" : visible(where));
}

export async function runUnpack(invocation: Invocation, context: Context): Promise<Outcome> {
  checkStandardOutput(invocation);
  const { operands, values } = invocation;
  const [input = ""] = operands;
  const output = await outputOf(invocation, unpackedOutput(input));
  const isThere = await lstat(output.replace(/\/$/, "")).catch(() => undefined);
  if (values.output === undefined && isThere) {
    throw new UsageError(`"${visible(output)}" exists: name the output with -o.`);
  }
  const isPiped = output === standardStream;
  const source = (await sourceOf(input, context)) as OneSource;
  const sink = isPiped ? standardOutputSink(process.stdout) : output;
  const maxGrowth = growthFrom(values);
  const running = { ...runOptions(context), ...workersFrom(values) };
  const growth = maxGrowth === undefined ? {} : { maxGrowth };
  const work = () => unpack(source, { ...running, ...growth, sink });
  const result = await (isPiped ? writingToStandardOutput(work) : work());
  return outcomeOf(result, "unpacked", isPiped ? "standard output" : visible(output));
}

/** What help says of packed files. */
export const packNotes = (): readonly string[] => [
  `A packed file (.${packExtension}) holds the same bytes in fewer: unpack gives every one of them again, or an error.`,
];
