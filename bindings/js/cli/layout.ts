/** shrink with --layout: a folder for a runtime, of a model repository. */
import { resolve } from "node:path";
import { formatBytes } from "../base/bytes.js";
import { suggestion } from "../base/suggest.js";
import { visible } from "../base/visible.js";
import { nameOfUrl } from "../files/url.js";
import { dtypeNames, type Dtype } from "../layout/dtypes.js";
import type { LayoutModel, LayoutReport } from "../layout/types.js";
import { shrink } from "../shrink.js";
import { percent, plural } from "../text.js";
import type { Context, Invocation, Outcome } from "./command.js";
import type { OptionValues } from "./options.js";
import { isUrl, standardStream } from "./outputs.js";
import { growthFrom, runOptions } from "./reading.js";
import { layoutWordsFrom } from "./recipe-options.js";
import { UsageError } from "./usage-error.js";
import { workersFrom } from "./writing.js";

/** Options that a layout has no use for. */
const otherOptions = ["resume", "dry-run", "inputs", "input-name", "min-cosine"] as const;

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
  if (other !== undefined) throw new UsageError(`--layout has no use for --${other}.`);
}

/** The folder of the output; by default beside the repository's, or here. */
function outputFor(repository: string, { output, layout }: OptionValues): string {
  if (output === "") throw new UsageError("-o has no path.");
  if (output !== undefined) return output;
  if (!isUrl(repository)) return `${resolve(repository)}.${layout}`;
  const name = URL.canParse(repository) ? nameOfUrl(repository) : "";
  return `${name || "model"}.${layout}`;
}

function lineOf({ files, report }: LayoutModel): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const note = report.isIdle ? ", as it was" : "";
  const size = `${formatBytes(bytes).padStart(8)} (${percent(bytes, report.inputBytes)}${note})`;
  return `  ${size}  ${files.map(({ name }) => visible(name)).join(", ")}`;
}

function textOf(report: LayoutReport, output: string): string {
  const { models, copied, leftOut } = report;
  const warnings = new Set(
    models.flatMap(({ input, dtype, report: { warnings: own = [] } }) =>
      own.map((it) => `Warning: ${visible(input)}, ${dtype}: ${visible(it)}`),
    ),
  );
  const named = (what: string, names: readonly string[]) =>
    names.length > 0 ? [`${what}: ${names.map((it) => visible(it)).join(", ")}`] : [];
  const number = new Set(models.map(({ input }) => input)).size;
  return [
    `${plural(number, "model")}, ${formatBytes(report.inputBytes)}, written as ${plural(models.length, "model")}, ` +
      `${formatBytes(report.outputBytes)}:`,
    ...models.map(lineOf),
    ...named("Copied", copied),
    ...named("Not read, as they are in a small number type already", leftOut),
    ...warnings,
    `Written to ${visible(output)}`,
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
  const { operands, values } = invocation;
  const [repository = ""] = operands;
  const output = outputFor(repository, values);
  const words = await layoutWordsFrom(values);
  const { report } = await shrink(repository, words, {
    ...runOptions(context),
    layout: "transformers",
    dtypes: dtypesFrom(values),
    sink: output,
    ...workersFrom(values),
    maxGrowth: growthFrom(values),
  });
  return { text: textOf(report, output), json: { output, ...report } };
}
