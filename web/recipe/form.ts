/** The choice of a recipe: what is offered depends on the model's format. */
import type { FormatName, Mode, Preset, PruneRecipe, Recipe } from "modelshrink";
import { presets } from "modelshrink";
import { offerMoreOptions, moreLabel, moreOptions } from "./more-options.js";
import { formatNamed, hasModes, presetsOf } from "./formats.js";
import { ui } from "../base/ui.js";

export interface Choice {
  recipe: Recipe;
  /** For file names: "int8", or "int8-lowmem" where the mode is not the preset's own. */
  label: string;
}

let format: FormatName = "onnx";
/** What the visitor has chosen, for the next models too. */
let wanted: string | undefined;

const isMode = (value: unknown): value is Mode =>
  value === "storage" || value === "dynamic" || value === "lowmem";
const modeOf = (recipe: Recipe): Mode => recipe.mode ?? "storage";

function presetNamed(name: string): Preset {
  const preset = presets[name];
  if (!preset) throw new Error(`There is no preset "${name}".`);
  return preset;
}

function chosenPreset(): string {
  const name = new FormData(ui.options).get("preset");
  if (typeof name !== "string") throw new Error("No recipe is chosen.");
  return name;
}

function chosenMode(recipe: Recipe): Mode {
  const mode = new FormData(ui.options).get("mode");
  return isMode(mode) && hasModes(format, recipe) ? mode : modeOf(recipe);
}

interface Zeros {
  prune: PruneRecipe;
  hint: string;
}

const lamp = (sparsity: number): Zeros => ({
  prune: { method: "magnitude", sparsity, allocation: "lamp" },
  hint:
    `The smallest ${100 * sparsity} % of the weights become zero, more in large layers than in small ones. ` +
    "Without samples of its inputs this ruins many networks: test what comes out.",
});

/** What the radio buttons stand for. */
const zeros: Readonly<Record<string, Zeros>> = {
  30: lamp(0.3),
  50: lamp(0.5),
  "2of4": {
    prune: { method: "n:m", n: 2, m: 4 },
    hint: "Of each four weights of an output two become zero: a pattern that hardware and sparse formats know.",
  },
};

function chosenZeros(): [string, Zeros] | undefined {
  const name = new FormData(ui.options).get("prune");
  const found = typeof name === "string" ? zeros[name] : undefined;
  return found && [name as string, found];
}

export function choice(): Choice {
  const name = chosenPreset();
  const { recipe } = presetNamed(name);
  const mode = chosenMode(recipe);
  const pruned = chosenZeros();
  const more = moreOptions();
  return {
    recipe: { ...recipe, mode, ...(pruned ? { prune: pruned[1].prune } : {}), ...more },
    label: [
      name,
      ...(mode === modeOf(recipe) ? [] : [mode]),
      ...(pruned ? [pruned[0]] : []),
      ...moreLabel(more),
    ].join("-"),
  };
}

function describe(): void {
  const name = chosenPreset();
  const { description, recipe, formats } = presetNamed(name);
  const sentence = `${name}: ${formats[format] ?? description}.`;
  const loading = formatNamed(format).loading(recipe, chosenMode(recipe));
  const lines = [sentence, loading, chosenZeros()?.[1].hint ?? ""];
  ui.hint.textContent = lines.filter((line) => line !== "").join("\n");
}

/** A preset brings its own mode; another one can be chosen after it. */
function resetMode(): void {
  const { recipe } = presetNamed(chosenPreset());
  const radios = ui.modes.querySelectorAll<HTMLInputElement>("input");
  for (const radio of radios) radio.checked = radio.value === modeOf(recipe);
  ui.modes.disabled = !hasModes(format, recipe);
}

function recipeRadio(name: string, checked: boolean): HTMLLabelElement {
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "preset", value: name, checked });
  const label = document.createElement("label");
  label.append(input, name);
  return label;
}

/** Offers what makes sense for a format. */
export function offerRecipes(forFormat: FormatName, suggested: string): void {
  format = forFormat;
  const names = presetsOf(format);
  const chosen = wanted !== undefined && names.includes(wanted) ? wanted : suggested;
  ui.recipes.replaceChildren(...names.map((name) => recipeRadio(name, name === chosen)));
  ui.modes.hidden = format !== "onnx";
  resetMode();
  describe();
}

export function listenForChoices(onChange: () => void): void {
  offerMoreOptions();
  ui.options.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLInputElement && target.name === "preset") {
      wanted = target.value;
      resetMode();
    }
    describe();
    onChange();
  });
}
