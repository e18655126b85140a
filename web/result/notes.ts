/** What a plan or report has to say besides its numbers. */
import type { Plan } from "modelshrink";
import { formatBytes } from "modelshrink";
import { isKept, type PlannedTensor } from "./changes.js";

const maxReasons = 4;

interface Reason {
  note: string;
  count: number;
  bytes: number;
}

const sizeOf = (tensors: readonly PlannedTensor[]): number =>
  tensors.reduce((bytes, { inputBytes }) => bytes + inputBytes, 0);

/** Why tensors stay as they are; what keeps most bytes comes first. */
function reasonsOf(kept: readonly PlannedTensor[]): Reason[] {
  const reasons = new Map<string, Reason>();
  for (const { note, inputBytes } of kept) {
    if (!note) continue;
    const { count, bytes } = reasons.get(note) ?? { count: 0, bytes: 0 };
    reasons.set(note, { note, count: count + 1, bytes: bytes + inputBytes });
  }
  return [...reasons.values()].sort((a, b) => b.bytes - a.bytes).slice(0, maxReasons);
}

const sentence = ({ note, count, bytes }: Reason): string =>
  `${note}: ${count} ${count === 1 ? "tensor" : "tensors"}, ${formatBytes(bytes)}`;

/** What is unexpected about the result as a whole. */
function headlineOf({ tensors, inputBytes, outputBytes }: Plan): string {
  const kept = tensors.filter(isKept);
  if (kept.length === tensors.length) return "Nothing changes with this recipe.";
  if (outputBytes > inputBytes * 0.99) return "This recipe makes the model hardly smaller.";
  if (sizeOf(kept) > sizeOf(tensors) / 2) return "Most of the model stays as it is.";
  return "";
}

function listOf(texts: readonly string[]): HTMLUListElement {
  const list = document.createElement("ul");
  list.append(
    ...texts.map((text) => {
      const item = document.createElement("li");
      item.append(text);
      return item;
    }),
  );
  return list;
}

/** Gives the headline, which is empty when all is well. */
export function showNotes(place: HTMLElement, plan: Plan): string {
  const headline = headlineOf(plan);
  const kept = plan.tensors.filter(isKept);
  // When nothing changes a warning says why.
  const isExplained = headline === "" || kept.length === plan.tensors.length;
  const reasons = isExplained ? [] : reasonsOf(kept).map(sentence);
  const notes = [...(plan.warnings ?? []), ...reasons];
  place.hidden = headline === "" && notes.length === 0;
  const title = document.createElement("strong");
  title.append(headline);
  place.replaceChildren(...(headline ? [title] : []), ...(notes.length > 0 ? [listOf(notes)] : []));
  return headline;
}
