/** Reports: the core's entries, with the recipe's reasons and the warnings. */
import { visible } from "../base/visible.js";
import { explain } from "../recipe/reasons.js";
import { rowsOf, type ReportRows } from "../core/table.js";
import type { OpenFile } from "../files/source.js";
import type { Remarks } from "../recipe/order.js";
import { findingsIn, type Findings } from "./findings.js";
import { toFiles } from "./inspect.js";
import { withTensors } from "./lazy.js";
import type { OpenModel } from "./open.js";
import type { KeptFloats, Report } from "./types.js";

/** Tells whether there may be something to warn of besides the recipe's own remarks. */
const mayWarn = ({ name }: OpenFile, found: Findings, remarks: Remarks): boolean =>
  name.includes("-of-") ||
  remarks.layers !== undefined ||
  remarks.asksForSparse ||
  remarks.asksForChannels ||
  found.missing !== undefined ||
  found.pruned.count + found.beyondRange.length + found.lost.length > 0;

/** Adds to the core's report the recipe's reasons, and the warnings. */
export async function toReport(
  opened: OpenModel,
  core: ReportRows,
  remarks: Remarks,
): Promise<Report> {
  const [main] = opened.files;
  const { format, inputBytes, outputBytes, files } = core;
  const tensors = rowsOf(core.tensors.length, (i) => {
    const tensor = core.tensors.at(i)!;
    const reason = remarks.reasons[i];
    if (reason && !tensor.reasons) explain(tensor, reason);
    return tensor;
  });
  const found = findingsIn(tensors);
  let { warnings } = remarks;
  let keptFloats: KeptFloats[] | undefined;
  const hasKeptFloats = found.isNarrowed && found.keptFloatBytes > inputBytes / 20;
  if (main && (hasKeptFloats || mayWarn(main, found, remarks))) {
    // A service worker of several files cannot load it: that is no reason to fail.
    const texts = await import("./warnings.js").catch(() => undefined);
    warnings = [
      ...warnings,
      ...(texts?.warningsOf(main, format, found, remarks) ?? ["Warnings could not be loaded."]),
    ];
    if (hasKeptFloats) keptFloats = texts?.keptFloatsIn(tensors, opened.info.tensors);
  }
  // What only turned out to be out of range is written, and has a warning of its own.
  const changesNothing = !found.isChanged && found.beyondRange.length === 0;
  const idle = changesNothing ? await remarks.ifIdle({ ...core, tensors }, opened.info) : undefined;
  if (idle !== undefined) warnings = [...warnings, idle];
  const isIdle = changesNothing && !remarks.order.options.strip;
  const report = {
    ...{ format, inputBytes, outputBytes, files: toFiles(files) },
    ...(remarks.rate ? { rate: remarks.rate } : {}),
    ...(keptFloats ? { keptFloats } : {}),
    ...(warnings.length > 0 ? { warnings: warnings.map(visible) } : {}),
    ...(isIdle ? { isIdle: true } : {}),
  };
  return withTensors(report, tensors);
}
