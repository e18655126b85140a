/** The commands that write models: shrink, restore. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { packExtension } from "../base/formats.js";
import { plural } from "../base/plural.js";
import { visible } from "../base/visible.js";
import { removeEmpty } from "../files/node/folders.js";
import type { SinkFor } from "../files/sink.js";
import type { Source } from "../files/source.js";
import { inspect } from "../models/inspect.js";
import { maxWorkers, readingOf } from "../models/options.js";
import { joined } from "../models/lazy.js";
import type { Report, RunOptions, WriteOptions } from "../models/types.js";
import { restore } from "../models/write.js";
import { pack } from "../pack/pack.js";
import type { GuardOutcome } from "../runtime/guard.js";
import { restoredTypes } from "../recipe/order.js";
import { shrink } from "../shrink.js";
import { formatReport } from "../text.js";
import { forEachModel, sizesText, type ModelOutcome } from "./batch.js";
import type { Context, Invocation, Outcome } from "./command.js";
import { verifyHint } from "./hints.js";
import { runtimeFor } from "./onnxruntime.js";
import type { OptionValues } from "./options.js";
import { companionsIn, outputsFor, refuseClashes, standardStream, type Placed } from "./outputs.js";
import {
  calibrationFor,
  growthFrom,
  planModel,
  runOptions,
  sourceOf,
  textOptions,
} from "./reading.js";
import { recipeFrom, recipeLabel } from "./recipe-options.js";
import { standardOutputSink, writingToStandardOutput } from "./standard-streams.js";
import { UsageError } from "./usage-error.js";

/** Gives the number of workers, where --workers says one. */
export function workersFrom({ workers }: OptionValues): { workers?: number } {
  if (workers === undefined) return {};
  if (/^\d+$/.test(workers) && Number(workers) <= maxWorkers) return { workers: Number(workers) };
  throw new UsageError(`--workers is "${workers}"; it must be a number from 0 to ${maxWorkers}.`);
}

/** The bound of a guard, when there is one. */
function minCosineFrom({ "min-cosine": text, inputs }: OptionValues): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !(value >= -1 && value <= 1)) {
    throw new UsageError(`--min-cosine is "${text}"; it must be a number up to 1, such as 0.99.`);
  }
  if (inputs === undefined) throw new UsageError("--min-cosine needs --inputs <path>.");
  return value;
}

/** Throws a UsageError where standard output cannot take what is written. */
export function checkStandardOutput({ values }: Invocation): void {
  if (values.output !== standardStream || values["dry-run"]) return;
  if (values.json) {
    throw new UsageError("-o - and --json both want standard output: give one of them.");
  }
  if (values.resume) {
    throw new UsageError("--resume needs a file to go on with; -o - is standard output.");
  }
  if (process.stdout.isTTY) {
    throw new UsageError(
      "Standard output is a terminal, which shows no model: send it on (> small.onnx), or give -o <path>.",
    );
  }
}

/** The outputs of all models. Of several it is known before the first is written that none gets in another's way. */
async function placeOutputs(
  { operands: models, values }: Invocation,
  label: string,
  context: Context,
): Promise<string[]> {
  const outputs = await outputsFor(models, values.output, label);
  if (models.length === 1) return outputs;
  const placed: Placed[] = [];
  for (const [i, model] of models.entries()) {
    // One that cannot be read fails when its turn comes, and writes nothing.
    const files = await inspect(model, readingOf(context)).then(
      (info) => info.files.map(({ name }) => name),
      () => [],
    );
    if (files.length > 0) placed.push({ model, output: outputs[i]!, files });
  }
  context.signal.throwIfAborted();
  await refuseClashes(placed);
  return outputs;
}

/** The names that a line of text has at most. */
const maxNames = 6;

function guardText({ verification, keptTensors, finerTensors, attempts }: GuardOutcome): string {
  const { name, cosine } = verification.worst;
  const listed = (what: string, names: readonly string[]) => {
    if (names.length === 0) return "";
    const shown = names.slice(0, maxNames).map((it) => visible(it));
    const more = names.length - shown.length;
    return `; ${what}: ${shown.join(", ")}${more > 0 ? ` and ${more} more (--json has all)` : ""}`;
  };
  const kept = listed("in 8 bits", finerTensors) + listed("kept as they were", keptTensors);
  return `Cosine of "${visible(name)}" ${cosine.toFixed(4)} after ${plural(attempts, "trial")}${kept}`;
}

interface Written {
  report: Report;
  guard?: GuardOutcome;
  /** The bytes of the packed file, where the model went into one. */
  packedBytes?: number;
}

/** The outcome of a run that changed nothing, in one line. */
function idleOutcome({ report, guard }: Written): ModelOutcome {
  const { inputBytes, outputBytes, warnings = [] } = report;
  const text = `Nothing is written. ${warnings.map((it) => visible(it)).join(" ")}`.trimEnd();
  const json = { ...report, ...(guard ? { guard } : {}) };
  return { text, line: text, json, inputBytes, outputBytes, isIdle: true };
}

async function outcomeOf(
  { report, guard, packedBytes }: Written,
  model: string,
  output: string,
  values: OptionValues,
): Promise<ModelOutcome> {
  const names = report.files.map(({ name }) => name);
  const isFolder = output.endsWith("/");
  const path = visible(output === standardStream ? "standard output" : output);
  const where =
    names.length > 1
      ? `${path} (${names.map((it) => visible(it)).join(", ")})`
      : path + (isFolder ? visible(names[0] ?? "") : "");
  const others = await companionsIn(model, names);
  const { inputBytes, warnings = [] } = report;
  const outputBytes = packedBytes ?? report.outputBytes;
  return {
    text: [
      formatReport(report, textOptions(values)),
      "",
      ...(guard ? [guardText(guard)] : []),
      ...(packedBytes === undefined ? [] : [`Packed: ${sizesText({ inputBytes, outputBytes })}`]),
      `Written to ${where}`,
      ...(others.length > 0 ? [`Not copied: ${others.map((it) => visible(it)).join(", ")}`] : []),
      ...(guard || packedBytes !== undefined ? [] : verifyHint(model, output, report)),
    ].join("\n"),
    line: [
      `${sizesText({ inputBytes, outputBytes })}, written to ${where}`,
      ...warnings.map((it) => `  Warning: ${visible(it)}`),
    ].join("\n"),
    json: joined(
      { output },
      report,
      guard ? { guard } : {},
      packedBytes === undefined ? {} : { packedBytes },
    ),
    ...{ inputBytes, outputBytes },
  };
}

type Write = (
  source: Source,
  options: WriteOptions & { sink: string | SinkFor },
) => Promise<Written>;

/**
 * Writes into a packed file: the model goes into a folder beside that first, which is removed at the end. Throws a
 * UsageError where a later run would go on with the folder.
 */
async function writePacked(
  output: string,
  resume: boolean,
  running: RunOptions,
  write: (folder: string) => Promise<Written>,
): Promise<Written> {
  if (resume) throw new UsageError("--resume needs an output that is no packed file.");
  const parent = dirname(output);
  const top = await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, ".modelshrink-"));
  try {
    const written = await write(`${folder}/`);
    if (written.report.isIdle) return written;
    const { report } = await pack(folder, { ...running, sink: output });
    return { ...written, packedBytes: report.outputBytes };
  } finally {
    await rm(folder, { recursive: true, force: true });
    if (top !== undefined) await removeEmpty(parent, top);
  }
}

async function runWriting(
  invocation: Invocation,
  context: Context,
  label: string,
  write: Write,
): Promise<Outcome> {
  const { operands, values } = invocation;
  checkStandardOutput(invocation);
  const running = { ...runOptions(context), ...workersFrom(values), maxGrowth: growthFrom(values) };
  const outputs = await placeOutputs(invocation, label, context);
  return forEachModel(operands, context, async (model, i) => {
    const output = outputs[i]!;
    const isPiped = output === standardStream;
    const sink = isPiped ? standardOutputSink(process.stdout) : output;
    const resume = values.resume ?? false;
    const options = { sink, resume, skipIdle: true, ...running };
    const source = await sourceOf(model, context);
    const isPacked = output.toLowerCase().endsWith(`.${packExtension}`);
    const work = () =>
      isPacked
        ? writePacked(output, resume, runOptions(context), (folder) =>
            write(source, { ...options, sink: folder }),
          )
        : write(source, options);
    const written = await (isPiped ? writingToStandardOutput(work) : work());
    return written.report.isIdle ? idleOutcome(written) : outcomeOf(written, model, output, values);
  });
}

export async function runShrink(invocation: Invocation, context: Context): Promise<Outcome> {
  const { command, operands, values } = invocation;
  const recipe = await recipeFrom(values);
  const minCosine = minCosineFrom(values);
  const label = recipeLabel(values);
  if (values["dry-run"]) {
    workersFrom(values);
    const outputs = await placeOutputs(invocation, label, context);
    return forEachModel(operands, context, (model, i) =>
      planModel(model, recipe, invocation, context, outputs[i]),
    );
  }
  return runWriting(invocation, context, label, async (source, options) => {
    const calibrated = await calibrationFor(recipe, invocation, source, context);
    const runtime = () => runtimeFor(values, command.name, source, readingOf(context));
    const guard = minCosine === undefined ? {} : { guard: { ...(await runtime()), minCosine } };
    return shrink(source, recipe, { ...options, ...calibrated, ...guard });
  });
}

export async function runRestore(invocation: Invocation, context: Context): Promise<Outcome> {
  const { weights } = invocation.values;
  const type = weights === undefined ? undefined : restoredTypes.find((it) => it === weights);
  if (weights !== undefined && type === undefined) {
    throw new UsageError(
      `--weights is "${weights}"; it must be one of ${restoredTypes.join(", ")}.`,
    );
  }
  return runWriting(invocation, context, "restored", (source, options) =>
    restore(source, { ...options, ...(type ? { weights: type } : {}) }),
  );
}
