/** Several models after each other: one that fails does not stop the others. */
import { formatBytes } from "../base/bytes.js";
import { withoutPasswords } from "../base/errors.js";
import { visible } from "../base/visible.js";
import { joined } from "../models/lazy.js";
import { percent, plural } from "../text.js";
import type { Context, Outcome } from "./command.js";
import { failureOf, messageOf } from "./failure.js";
import { UsageError } from "./usage-error.js";

/** The result for one model. */
export interface ModelOutcome {
  /** All of it, for one model alone. */
  text: string;
  /** One line of it, for one model among several. */
  line: string;
  json: object;
  inputBytes: number;
  /** Absent where nothing is written or planned. */
  outputBytes?: number;
  /** True when there was nothing to do. */
  isIdle?: boolean;
}

/** "10.8 MB → 2.88 MB (26.7 %)". */
export const sizesText = ({
  inputBytes,
  outputBytes,
}: Pick<ModelOutcome, "inputBytes" | "outputBytes">) =>
  outputBytes === undefined
    ? formatBytes(inputBytes)
    : `${formatBytes(inputBytes)} → ${formatBytes(outputBytes)} (${percent(outputBytes, inputBytes)})`;

const sum = (values: readonly number[]) => values.reduce((all, it) => all + it, 0);

function totalOf(done: readonly ModelOutcome[], failed: readonly string[]): string {
  const writes = done.some(({ outputBytes }) => outputBytes !== undefined);
  const sizes = sizesText({
    inputBytes: sum(done.map(({ inputBytes }) => inputBytes)),
    ...(writes ? { outputBytes: sum(done.map(({ outputBytes = 0 }) => outputBytes)) } : {}),
  });
  const failures = failed.length > 0 ? `; ${failed.length} failed: ${failed.join(", ")}` : "";
  return `${plural(done.length, "model")}: ${sizes}${failures}`;
}

/**
 * Calls `run` for each model. One model's error is the command's; of several a line is printed for each, whether it
 * is done or failed, and a total.
 */
export async function forEachModel(
  models: readonly string[],
  context: Context,
  run: (model: string, index: number) => Promise<ModelOutcome>,
): Promise<Outcome> {
  const [only] = models;
  if (only !== undefined && models.length === 1) {
    const { text, json, isIdle = false } = await run(only, 0);
    return { text, json, isIdle };
  }
  const done: ModelOutcome[] = [];
  const failed: string[] = [];
  const results: object[] = [];
  for (const [index, operand] of models.entries()) {
    const model = withoutPasswords(operand);
    try {
      const outcome = await run(operand, index);
      context.print(`${visible(model)}: ${outcome.line}`);
      done.push(outcome);
      results.push(joined({ model }, outcome.json));
    } catch (error) {
      if (context.signal.aborted || error instanceof UsageError) throw error;
      context.complain(`${visible(model)}: ${messageOf(error)}`);
      failed.push(visible(model));
      results.push({ model, error: failureOf(error) });
    }
  }
  return {
    text: totalOf(done, failed),
    json: { models: results, failed: failed.length },
    hasFailed: failed.length > 0,
    isIdle: done.every(({ isIdle }) => isIdle),
  };
}
