/** Carries the commands out. */
import { realpath } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { formatModelInfo, formatPlan, formatReport } from "../format.js";
import {
  compareModels,
  inspect,
  plan,
  shrink,
  type ModelInfo,
  type Plan,
  type Report,
} from "../models.js";
import type { RunOptions } from "../open-model.js";
import { recipeFrom, UsageError, type Arguments } from "./args.js";

/** What a command found: `text` for people, `json` for programs. */
export interface Outcome {
  text: string;
  json: ModelInfo | Plan | Report;
}

const isUrl = (model: string) => /^https?:\/\//i.test(model);

/** "model.int8.onnx" beside the model, or here when that is a URL. */
function defaultOutput(model: string, { recipe = "int8", mode }: Arguments): string {
  const path = isUrl(model) ? basename(new URL(model).pathname) || "model.onnx" : model;
  const extension = extname(path);
  const label = basename(recipe, extname(recipe)) + (mode === undefined ? "" : `-${mode}`);
  return join(dirname(path), `${basename(path, extension)}.${label}${extension}`);
}

async function refuseSameFile(model: string, output: string): Promise<void> {
  if (isUrl(model)) return;
  const [from, to] = await Promise.all(
    [model, output].map((path) => realpath(path).catch(() => undefined)),
  );
  if (from !== undefined && from === to) {
    throw new UsageError(`The output "${output}" is the model itself: name another file with -o.`);
  }
}

async function runShrink(model: string, args: Arguments, options: RunOptions): Promise<Outcome> {
  const recipe = await recipeFrom(args);
  const output = args.output ?? defaultOutput(model, args);
  await refuseSameFile(model, output);
  const { report } = await shrink(model, recipe, { ...options, sink: output });
  return { text: `${formatReport(report)}\n\nWritten to ${output}`, json: report };
}

export async function runCommand(args: Arguments, options: RunOptions): Promise<Outcome> {
  const [model = "", other = ""] = args.operands;
  switch (args.command) {
    case "inspect": {
      const info = await inspect(model, options);
      return { text: formatModelInfo(info), json: info };
    }
    case "plan": {
      const planned = await plan(model, await recipeFrom(args), options);
      return { text: formatPlan(planned), json: planned };
    }
    case "shrink":
      return runShrink(model, args, options);
    case "compare": {
      const report = await compareModels(model, other, options);
      return { text: formatReport(report), json: report };
    }
  }
}
