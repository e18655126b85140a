// node measured-shrink.mjs <model> <recipe or JSON> <output> [<workers>]: shrinks, and prints what that took.
import { init, shrink } from "modelshrink";
import { printMeasured } from "./measured.mjs";

const [, , model, words, sink, workers] = process.argv;
const recipe = words.startsWith("{") ? JSON.parse(words) : words;

await printMeasured(init, async () => {
  const limit = workers === undefined ? {} : { workers: Number(workers) };
  return (await shrink(model, recipe, { sink, ...limit })).report;
});
