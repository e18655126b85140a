/** The sizes of all recipes, which the worker plans one after the other, and those of their packed files. */
import { messageOf } from "../base/ui.js";
import { Cancelled, type Task } from "../base/jobs.js";
import { library } from "../work/client.js";
import type { Foreseen, Model, NamedRecipe, Sized } from "../work/protocol.js";

/** Structures that take long to read are read again and again only when the visitor asks for it. */
const maxTensors = 20_000;

export const isCostly = (model: Model, numTensors: number): boolean =>
  typeof model === "string" || numTensors > maxTensors;

/** Weights of more bytes are looked at only when they are shrunk: a recipe after the other would read them all. */
const maxBytes = 64_000_000;

/** Tells whether the weights of a model may be looked at for each recipe. */
export const mayLook = (model: Model, inputBytes: number): boolean =>
  typeof model !== "string" && inputBytes <= maxBytes;

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

/** Looks at the weights for these recipes; `onEnd` gets what is foreseen when nothing newer was asked for meanwhile. */
export function foreseePacked(
  ask: { model: Model; recipes: NamedRecipe[] },
  onEnd: (found: ReadonlyMap<string, Foreseen>) => void,
): void {
  stopSizes();
  const found = new Map<string, Foreseen>();
  const own = library.start("foresee", ask, (foreseen) => {
    found.set(foreseen.name, foreseen);
  });
  task = own;
  // What cannot be foreseen is seen once it is made.
  const end = () => {
    if (task === own) onEnd(found);
  };
  own.result.then(end, end);
}
