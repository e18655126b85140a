/** What a plan or report has to say besides its numbers. */
import type { Plan } from "modelshrink";

const maxReasons = 4;

/** Why tensors stay as they are, the most frequent reason first. */
function reasonsOf({ tensors }: Plan): [string, number][] {
  const counts = new Map<string, number>();
  for (const { from, to, note } of tensors) {
    if (from === to && note) counts.set(note, (counts.get(note) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, maxReasons);
}

export function showNotes(list: HTMLUListElement, plan: Plan): void {
  const notes = [...(plan.warnings ?? [])];
  if (plan.tensors.every(({ from, to }) => from === to)) {
    notes.push("With this recipe nothing changes. Why tensors stay as they are:");
    notes.push(...reasonsOf(plan).map(([note, count]) => `${note} (${count} of them)`));
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
