/** What a plan or report has to say besides its numbers. */
import type { Plan } from "modelshrink";
import { formatBytes } from "modelshrink";

const maxReasons = 4;

interface Reason {
  note: string;
  count: number;
  bytes: number;
}

/** Why tensors stay as they are; what keeps most bytes comes first. */
function reasonsOf({ tensors }: Plan): Reason[] {
  const reasons = new Map<string, Reason>();
  for (const { from, to, note, inputBytes } of tensors) {
    if (from !== to || !note) continue;
    const { count, bytes } = reasons.get(note) ?? { count: 0, bytes: 0 };
    reasons.set(note, { note, count: count + 1, bytes: bytes + inputBytes });
  }
  return [...reasons.values()].sort((a, b) => b.bytes - a.bytes).slice(0, maxReasons);
}

const sentence = ({ note, count, bytes }: Reason): string =>
  `${note}: ${count} ${count === 1 ? "tensor" : "tensors"}, ${formatBytes(bytes)}`;

export function showNotes(list: HTMLUListElement, plan: Plan): void {
  const notes = [...(plan.warnings ?? [])];
  if (plan.tensors.every(({ from, to }) => from === to)) {
    notes.push("With this recipe nothing changes. Why tensors stay as they are:");
    notes.push(...reasonsOf(plan).map(sentence));
  }
  list.hidden = notes.length === 0;
  list.replaceChildren(
    ...notes.map((note) => {
      const item = document.createElement("li");
      item.append(note);
      return item;
    }),
  );
}
