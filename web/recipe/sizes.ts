/** The sizes of all recipes, which the worker plans one after the other. */
import { messageOf } from "../base/ui.js";
import { Cancelled, type Task } from "../base/jobs.js";
import { library } from "../work/client.js";
import type { Model, NamedRecipe, Sized } from "../work/protocol.js";

/** Structures that take long to read are read again and again only when the visitor asks for it. */
const maxTensors = 20_000;

export const isCostly = (model: Model, numTensors: number): boolean =>
  typeof model === "string" || numTensors > maxTensors;

let task: Task<null> | undefined;

export function stopSizes(): void {
  task?.cancel();
  task = undefined;
}

/** Plans all of them; `onDone` gets what is known when nothing newer was asked for meanwhile. */
export function planSizes(
  ask: { model: Model; recipes: NamedRecipe[]; mayRequantize: boolean },
  onDone: (known: ReadonlyMap<string, Sized>) => void,
  onFailure: (message: string) => void,
): void {
  stopSizes();
  const known = new Map<string, Sized>();
  const own = library.start("sizes", ask, (sized) => {
    known.set(sized.name, sized);
  });
  task = own;
  own.result.then(
    () => {
      if (task === own) onDone(known);
    },
    (error: unknown) => {
      if (task === own && !(error instanceof Cancelled)) onFailure(messageOf(error));
    },
  );
}
