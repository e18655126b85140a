/** shrink and plan with --layout: a folder for a runtime, of a model repository. */
import { resolve } from "node:path";
import { formatBytes } from "../base/bytes.js";
import { suggestion } from "../base/suggest.js";
import { visible } from "../base/visible.js";
import { nameOfUrl } from "../files/url.js";
import { dtypeNames, type Dtype } from "../layout/dtypes.js";
import type { LayoutModel, LayoutPlan, LayoutReport, PlannedLayoutModel } from "../layout/types.js";
import { plan } from "../plan.js";
import { shrink } from "../shrink.js";
import { percent, plural } from "../text.js";
import type { Context, Invocation, Outcome } from "./command.js";
import type { OptionValues } from "./options.js";
import { isUrl, standardStream } from "./outputs.js";
import { growthFrom, runOptions } from "./reading.js";
import { layoutWordsFrom } from "./recipe-options.js";
import { UsageError } from "./usage-error.js";
import { workersFrom } from "./writing.js";

/** Options for one model: those of a repository have inputs of their own. */
const otherOptions = ["inputs", "input-name", "min-cosine"] as const;

function checkUsage({ operands, values }: Invocation): void {
  if (values.layout === undefined) throw new UsageError("--dtypes needs --layout transformers.");
  if (values.layout !== "transformers") {
    throw new UsageError(`--layout is "${values.layout}"; it must be transformers.`);
  }
  if (operands.length > 1) {
    throw new UsageError("--layout takes one repository: give them one by one.");
  }
  if (operands[0] === standardStream || values.output === standardStream) {
    throw new UsageError("--layout reads a folder and writes one: - is neither.");
  }
  const other = otherOptions.find((name) => values[name] !== undefined);
  if (other !== undefined) {
    throw new UsageError(
      `--layout has no use for --${other}: models of a repository have inputs of their own. In code, shrink takes a ` +
        "guard for each (docs/transformers.md).",
    );
  }
}

/** The folder of the output; by default beside the repository's, or here. */
function outputFor(repository: string, { output, layout }: OptionValues): string {
  if (output === "") throw new UsageError("-o has no path.");
  if (output !== undefined) return output;
  if (!isUrl(repository)) return `${resolve(repository)}.${layout}`;
  const name = URL.canParse(repository) ? nameOfUrl(repository) : "";
  return `${name || "model"}.${layout}`;
}

/** What is to be or was written of a model. */
const fateOf = (model: LayoutModel | PlannedLayoutModel) =>
  "plan" in model ? model.plan : model.report;

function lineOf(model: LayoutModel | PlannedLayoutModel): string {
  const { files } = model;
  const { isIdle, inputBytes } = fateOf(model);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const note = isIdle ? ", as it was" : "";
  const size = `${formatBytes(bytes).padStart(8)} (${percent(bytes, inputBytes)}${note})`;
  return `  ${size}  ${files.map(({ name }) => visible(name)).join(", ")}`;
}

/** `ends`: what is said of the models ("written as") and of the output at last. */
function textOf(report: LayoutReport | LayoutPlan, ends: { verb: string; last?: string }): string {
  const { models, copied, leftOut } = report;
  const warnings = new Set(
    models.flatMap((model) =>
      (fateOf(model).warnings ?? []).map(
        (it) => `Warning: ${visible(model.input)}, ${model.dtype}: ${visible(it)}`,
      ),
    ),
  );
  const named = (what: string, names: readonly string[]) =>
    names.length > 0 ? [`${what}: ${names.map((it) => visible(it)).join(", ")}`] : [];
  const number = new Set(models.map(({ input }) => input)).size;
  return [
    `${plural(number, "model")}, ${formatBytes(report.inputBytes)}, ${ends.verb} ${plural(models.length, "model")}, ` +
      `${formatBytes(report.outputBytes)}:`,
    ...models.map(lineOf),
    ...named("Copied", copied),
    ...named("Not read, as they are in a small number type already", leftOut),
    ...warnings,
    ...(ends.last === undefined ? [] : [ends.last]),
  ].join("\n");
}

function dtypesFrom({ dtypes: text }: OptionValues): readonly Dtype[] {
  return (text?.split(",") ?? dtypeNames).map((word) => {
    const name = dtypeNames.find((it) => it === word);
    if (name !== undefined) return name;
    const near = suggestion(word, dtypeNames);
    throw new UsageError(`--dtypes has "${word}"; there are ${dtypeNames.join(", ")}.${near}`);
  });
}

export async function runLayout(invocation: Invocation, context: Context): Promise<Outcome> {
  checkUsage(invocation);
  const { command, operands, values } = invocation;
  const [repository = ""] = operands;
  const words = await layoutWordsFrom(values);
  const planning = {
    ...runOptions(context),
    layout: "transformers" as const,
    dtypes: dtypesFrom(values),
    maxGrowth: growthFrom(values),
  };
  const isPlan = command.name === "plan";
  const output = isPlan ? undefined : outputFor(repository, values);
  if (isPlan || values["dry-run"]) {
    const planned = await plan(repository, words, planning);
    const last =
      output === undefined
        ? {}
        : { last: `Nothing is written; it would be written to ${visible(output)}` };
    const text = textOf(planned, { verb: "would be", ...last });
    return { text, json: output === undefined ? planned : { output, ...planned } };
  }
  const { report } = await shrink(repository, words, {
    ...planning,
    sink: output!,
    resume: values.resume ?? false,
    ...workersFrom(values),
  });
  const text = textOf(report, { verb: "written as", last: `Written to ${visible(output!)}` });
  return { text, json: { output, ...report } };
}
