/** A model that no recipe makes smaller because it is quantized already: what can be done with it all the same. */
import { formatBytes, type Recipe } from "modelshrink";
import { formatPercent } from "../base/format.js";
import type { Task } from "../base/jobs.js";
import { ui } from "../base/ui.js";
import { library } from "../work/client.js";
import type { Model, Opened } from "../work/protocol.js";

/** Nothing but names and documentation goes: what no recipe changes stays. */
const stripping: Recipe = { weights: "int8", strip: true };

let task: Task<unknown> | undefined;
let isOffered = false;

/** Shows the button that leaves out names, where it is offered, or hides it while something else is there instead. */
export function showStrip(isFree: boolean): void {
  ui.strip.hidden = !isFree || !isOffered;
}

/** In ONNX quantized weights are a part of the graph. */
export const isQuantized = ({ quantizedBytes, inputBytes }: Opened): boolean =>
  quantizedBytes > inputBytes / 2;

export const canRestore = ({ format, quantizedBytes }: Opened): boolean =>
  format !== "onnx" && quantizedBytes > 0;

/** Shows what leads somewhere again. */
export function clearQuantized(): void {
  task?.cancel();
  task = undefined;
  delete ui.work.dataset["leftAlone"];
  isOffered = false;
  showStrip(false);
}

/** Hides what leads nowhere, and offers what does. */
export function showQuantized(model: Model, opened: Opened): void {
  clearQuantized();
  ui.work.dataset["leftAlone"] = "";
  // That of the plan is about a recipe.
  ui.status.textContent = "";
  const { quantizedBytes, inputBytes, format } = opened;
  ui.slideNote.textContent =
    `This model is quantized already: ${formatPercent(quantizedBytes / inputBytes)} of it are weights of few bits, ` +
    "which no recipe makes smaller. Open the float model that it was made from to choose among all recipes" +
    (canRestore(opened) ? "; or restore floats here." : ".");
  if (format !== "onnx") return;
  const own = library.start("plan", { model, recipe: stripping, looks: false });
  task = own;
  own.result.then(
    ({ outputBytes }) => {
      if (task !== own || outputBytes >= inputBytes) return;
      ui.strip.textContent = `Leave out names: ${formatBytes(outputBytes)}`;
      isOffered = true;
      showStrip(true);
    },
    // There is nothing to offer then.
    () => undefined,
  );
}

/** `onStrip` gets the recipe that leaves out names. */
export function listenForStripping(onStrip: (recipe: Recipe) => void): void {
  ui.strip.addEventListener("click", () => {
    onStrip(stripping);
  });
}
