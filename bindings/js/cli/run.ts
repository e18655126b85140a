/** Carries the commands out. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { ModelShrinkError } from "../base/errors.js";
import { compareModels } from "../models/compare.js";
import { inspect } from "../models/inspect.js";
import { plan } from "../models/plan.js";
import type { ModelInfo, Plan, Report, RunOptions } from "../models/types.js";
import { restore } from "../models/write.js";
import { calibrate } from "../runtime/calibrate.js";
import type { GuardOutcome } from "../runtime/guard.js";
import { type Verification, verify } from "../runtime/verify.js";
import { type Arguments, minCosineFrom, recipeFrom, workersFrom } from "./args.js";
import { runtimeFor } from "./runtime.js";
import { shrink } from "../shrink.js";
import { formatModelInfo, formatPlan, formatReport, formatVerification } from "../text.js";

/** What a command found: `text` for people, `json` for programs. */
export interface Outcome {
  text: string;
  json: ModelInfo | Plan | (Report & { guard?: GuardOutcome }) | Verification;
}

const isUrl = (model: string) => /^https?:\/\//i.test(model);

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (it) => it.isDirectory(),
    () => false,
  );
}

/** Behind a GGUF split's name, which has to stay at the end. */
const splitSuffix = /-\d{5}-of-\d{5}$/;

/** The name of a main file that has the model's folder to itself. */
const isUsualIndex = (name: string) => /^model(\.\w+)*\.json$/i.test(name);

/**
 * Beside the model, or here when that is a URL: "model.int8.onnx" for a file; for a folder or a model
 * whose files have names of their own (an index, model.json) the folder "folder.int8".
 */
async function defaultOutput(model: string, label: string): Promise<string> {
  const path = isUrl(model) ? basename(new URL(model).pathname) || "model.onnx" : model;
  if (!isUrl(model) && (await isFolder(path))) return `${resolve(path)}.${label}/`;
  const extension = extname(path);
  const name = basename(path, extension);
  if (/^\.json$/i.test(extension)) {
    const own = join(dirname(path), name.replace(/(\.safetensors)?\.index$/i, ""));
    const isShared = isUrl(model) || !isUsualIndex(basename(path));
    return `${isShared ? own : resolve(dirname(path))}.${label}/`;
  }
  const suffix = splitSuffix.exec(name)?.[0] ?? "";
  const stem = name.slice(0, name.length - suffix.length);
  return join(dirname(path), `${stem}.${label}${suffix}${extension}`);
}

/** A folder's output is a folder, unless it is named like a model's file. */
async function givenOutput(model: string, output: string): Promise<string> {
  const isPlain = !output.endsWith("/") && extname(output) === "";
  return isPlain && (await isFolder(model)) ? `${output}/` : output;
}

const labelOf = ({ recipe, mode, prune, sparse }: Arguments) =>
  [
    ...(recipe === undefined && (prune !== undefined || sparse) ? [] : [recipe ?? "int8"]).map(
      (name) => basename(name, extname(name)),
    ),
    ...(mode === undefined ? [] : [mode]),
    ...(prune === undefined ? [] : [prune.replaceAll(":", "-")]),
    ...(sparse ? ["sparse"] : []),
  ].join("-");

/** With `--inputs` the model's layers are looked at first. */
async function calibrationFor(args: Arguments, { signal }: RunOptions) {
  if (args.inputs === undefined) return {};
  const { ort, inputs } = await runtimeFor(args, args.command);
  const [model = ""] = args.operands;
  const calibration = await calibrate(model, { ort, inputs, ...(signal ? { signal } : {}) });
  return { calibration };
}

const companion = /^[^.].*\.(json|jinja|model|txt)$/i;

/** What lies in a model's folder besides the model: configurations, vocabularies. */
async function companionsIn(model: string, written: readonly string[]): Promise<string[]> {
  if (!(await isFolder(model))) return [];
  const names = await readdir(model);
  return names.filter((name) => companion.test(name) && !written.includes(name)).sort();
}

function guardText({ verification, keptTensors, attempts }: GuardOutcome): string {
  const { name, cosine } = verification.worst;
  const kept = keptTensors.length > 0 ? `; kept as they were: ${keptTensors.join(", ")}` : "";
  const trials = attempts === 1 ? "1 trial" : `${attempts} trials`;
  return `Cosine of "${name}" ${cosine.toFixed(4)} after ${trials}${kept}`;
}

async function runWriting(
  args: Arguments,
  label: string,
  write: (
    options: RunOptions & { sink: string },
  ) => Promise<{ report: Report; guard?: GuardOutcome }>,
): Promise<Outcome> {
  const [model = ""] = args.operands;
  const sink =
    args.output === undefined
      ? await defaultOutput(model, label)
      : await givenOutput(model, args.output);
  const workers = workersFrom(args);
  const resume = args.resume ?? false;
  const options = { sink, workers, resume };
  const { report, guard } = await write(options);
  const names = report.files.map(({ name }) => name);
  const where = names.length > 1 ? `${sink} (${names.join(", ")})` : sink;
  const others = await companionsIn(model, names);
  const notCopied = others.length > 0 ? `\nNot copied: ${others.join(", ")}` : "";
  const guarded = guard ? `\n${guardText(guard)}` : "";
  return {
    text: `${formatReport(report)}\n${guarded}\nWritten to ${where}${notCopied}`,
    json: guard ? { ...report, guard } : report,
  };
}

async function runCompare([a = "", b = ""]: string[], options: RunOptions): Promise<Outcome> {
  const report = await compareModels(a, b, options);
  if (report.tensors.length > 0 && report.tensors.every(({ sqnr }) => sqnr === undefined)) {
    throw new ModelShrinkError(
      `The models have no tensor in common that could be compared: "${a}" has ` +
        `${report.tensors.length} of its own.`,
      "argument",
    );
  }
  return { text: formatReport(report), json: report };
}

export async function runCommand(args: Arguments, options: RunOptions): Promise<Outcome> {
  const [model = ""] = args.operands;
  switch (args.command) {
    case "inspect": {
      const info = await inspect(model, options);
      return { text: formatModelInfo(info), json: info };
    }
    case "plan": {
      const more = await calibrationFor(args, options);
      const planned = await plan(model, await recipeFrom(args), { ...options, ...more });
      return { text: formatPlan(planned), json: planned };
    }
    case "shrink": {
      const recipe = await recipeFrom(args);
      const minCosine = minCosineFrom(args);
      const looksAtLayers = minCosine === undefined || recipe.prune || recipe.gptq;
      const calibrated = looksAtLayers ? await calibrationFor(args, options) : {};
      const guard =
        minCosine === undefined
          ? {}
          : { guard: { ...(await runtimeFor(args, args.command)), minCosine } };
      return runWriting(args, labelOf(args), (more) =>
        shrink(model, recipe, { ...options, ...calibrated, ...guard, ...more }),
      );
    }
    case "restore":
      return runWriting(args, "restored", (more) => restore(model, { ...options, ...more }));
    case "compare":
      return runCompare(args.operands, options);
    case "verify": {
      const [original = "", other = ""] = args.operands;
      const { ort, inputs } = await runtimeFor(args, "verify");
      const { signal } = options;
      const found = await verify(original, other, { ort, inputs, ...(signal ? { signal } : {}) });
      return { text: formatVerification(found), json: found };
    }
  }
}
