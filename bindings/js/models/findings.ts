/** What a report's tensors have in common, as far as there may be something to warn of. */
import { elementsOf } from "../base/shape.js";
import type { Rows } from "../core/table.js";
import { hasReason } from "../recipe/reasons.js";
import { isChanged, isCut, isPruned } from "./changes.js";
import type { PlannedTensor, ReportedTensor } from "./types.js";

/** Gives the bytes of a tensor as a bitmask: its values without zeros, and a bit for each element. */
function sparseBytes({ shape, outputBytes, sparsity = 0 }: ReportedTensor): number {
  return outputBytes * (1 - sparsity) + elementsOf(shape) / 8;
}

/** What the warnings need to know of all tensors, found in one walk over them. */
export interface Findings {
  isChanged: boolean;
  isCut: boolean;
  isSparse: boolean;
  /** A tensor that keeps its channels. */
  uncut: PlannedTensor | undefined;
  /** Those of which a quarter or more is zero after pruning. */
  pruned: { count: number; hasFloats: boolean; bytes: number; sparseBytes: number; most: number };
  /** A tensor whose file is not there. */
  missing: PlannedTensor | undefined;
  beyondRange: PlannedTensor[];
  lost: ReportedTensor[];
  /** True when a tensor gets another type. */
  isNarrowed: boolean;
  /** The bytes of the floats that stay floats. */
  keptFloatBytes: number;
}

/** Tells whether a tensor is of floats and stays so. */
export const isKeptFloat = ({ from, to }: PlannedTensor): boolean =>
  from === to && /float(16|32)$/.test(to);

/** Finds it all in one walk, because there may be millions of tensors. */
export function findingsIn(tensors: Rows<ReportedTensor>): Findings {
  const pruned = { count: 0, hasFloats: false, bytes: 0, sparseBytes: 0, most: 0 };
  const found: Findings = {
    ...{ isChanged: false, isCut: false, isSparse: false, uncut: undefined, missing: undefined },
    ...{ pruned, beyondRange: [], lost: [], isNarrowed: false, keptFloatBytes: 0 },
  };
  for (const tensor of tensors) {
    const { to, outputBytes, sparsity = 0 } = tensor;
    found.isChanged ||= isChanged(tensor);
    found.isNarrowed ||= to !== tensor.from;
    if (isKeptFloat(tensor)) found.keptFloatBytes += tensor.inputBytes;
    found.isCut ||= isCut(tensor);
    found.isSparse ||= tensor.isSparse === true;
    if (hasReason(tensor, "keepsChannels")) found.uncut ??= tensor;
    if (hasReason(tensor, "fileMissing")) found.missing ??= tensor;
    if (hasReason(tensor, "outOfRange")) found.beyondRange.push(tensor);
    if (isLost(tensor)) found.lost.push(tensor);
    if (!isPruned(tensor) || sparsity < 0.25) continue;
    pruned.count++;
    pruned.hasFloats ||= to.startsWith("float");
    pruned.bytes += outputBytes;
    pruned.sparseBytes += sparseBytes(tensor);
    pruned.most = Math.max(pruned.most, sparsity);
  }
  return found;
}

/** The lowest SQNR in dB that raises no warning: errors of 3 % (RMS) for 16 bits, of a third for fewer. */
const leastSqnr = (type: string) => (type.endsWith("float16") ? 30 : 10);

/** The SQNR of a tensor, or of its worst output where that is lower. */
export const lowestSqnr = ({ sqnr = Infinity, worstSqnr = Infinity }: ReportedTensor): number =>
  Math.min(sqnr, worstSqnr);

/** Tells whether a tensor or an output of it lost more than rounding costs, though nothing of it was pruned. */
const isLost = (tensor: ReportedTensor): boolean =>
  lowestSqnr(tensor) < leastSqnr(tensor.to) &&
  isChanged(tensor) &&
  !isPruned(tensor) &&
  !isCut(tensor);
