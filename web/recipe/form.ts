/** The choice of a recipe: what is offered depends on the model's format, and on what recipes would make of it. */
import type { FormatName, Mode, Preset, PruneRecipe, Recipe } from "modelshrink";
import { formatBytes, presets } from "modelshrink";
import { visible } from "modelshrink/text";
import { make } from "../base/dom.js";
import { ui } from "../base/ui.js";
import type { NamedRecipe, Opened, Sized } from "../work/protocol.js";
import { formatNamed, hasModes, presetsOf } from "./formats.js";
import { moreLabel, moreOptions, offerMoreOptions } from "./more-options.js";

export interface Choice {
  /** The preset that it begins with. */
  name: string;
  recipe: Recipe;
  /** For file names: "int8", or "int8-lowmem" where the mode is not the preset's own. */
  label: string;
}

let format: FormatName = "onnx";
let suggestion: Pick<Opened, "suggested" | "why"> | undefined;
/** What the visitor has chosen, for the next models too. */
let wanted: string | undefined;
/** What is known of the recipes with the options that are set. */
let sized: ReadonlyMap<string, Sized> = new Map<string, Sized>();

const isMode = (value: unknown): value is Mode =>
  value === "storage" || value === "dynamic" || value === "lowmem";
const modeOf = (recipe: Recipe): Mode => recipe.mode ?? "storage";

function presetNamed(name: string): Preset {
  const preset = presets[name];
  if (!preset) throw new Error(`There is no preset "${name}".`);
  return preset;
}

export function chosenPreset(): string {
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

/** What the visitor has set beside the preset and the mode. */
const extras = (): Partial<Recipe> => {
  const pruned = chosenZeros();
  return { ...(pruned ? { prune: pruned[1].prune } : {}), ...moreOptions() };
};

/** Each preset of the format, with the options that are set. */
export const recipesOf = (): NamedRecipe[] =>
  presetsOf(format).map((name) => ({
    name,
    recipe: recipeOf(name, presetNamed(name).recipe.mode),
  }));

function recipeOf(name: string, mode: Mode | undefined): Recipe {
  const again = sized.get(name)?.requantizes ? { requantize: true } : {};
  const own = mode === undefined ? {} : { mode };
  return { ...presetNamed(name).recipe, ...own, ...again, ...extras() };
}

export function choice(): Choice {
  const name = chosenPreset();
  const { recipe } = presetNamed(name);
  const mode = chosenMode(recipe);
  const pruned = chosenZeros();
  const isOwnMode = mode === modeOf(recipe);
  return {
    name,
    recipe: recipeOf(name, isOwnMode ? recipe.mode : mode),
    label: [
      name,
      ...(isOwnMode ? [] : [mode]),
      ...(pruned ? [pruned[0]] : []),
      ...moreLabel(moreOptions()),
    ].join("-"),
  };
}

/** Tells whether nothing is set beside a preset. */
export const isPlain = (): boolean => isPlainMode() && Object.keys(extras()).length === 0;

/** Tells whether the sizes that are known hold for what is chosen. */
export const isPlainMode = (): boolean => {
  const { recipe } = presetNamed(chosenPreset());
  return chosenMode(recipe) === modeOf(recipe);
};

/** Says what the chosen recipe is. */
export function describe(): void {
  const name = chosenPreset();
  const { description, recipe, formats } = presetNamed(name);
  const why = name === suggestion?.suggested && `Recommended: ${suggestion.why}`;
  const lines = [
    `${name}: ${formats[format] ?? description}.`,
    why || "",
    formatNamed(format).loading(recipe, chosenMode(recipe)),
    chosenZeros()?.[1].hint ?? "",
    sized.get(name)?.requantizes
      ? "The weights are quantized already: to quantize them again adds a second error to the first."
      : "",
  ];
  ui.hint.textContent = lines.filter((line) => line !== "").join("\n");
}

/** A preset brings its own mode; another one can be chosen after it. */
function resetMode(): void {
  const { recipe } = presetNamed(chosenPreset());
  const radios = ui.modes.querySelectorAll<HTMLInputElement>("input");
  for (const radio of radios) radio.checked = radio.value === modeOf(recipe);
  ui.modes.disabled = !hasModes(format, recipe);
  ui.modesReason.textContent = ui.modes.disabled ? "Floats are written in one way only." : "";
}

const radios = () => ui.recipes.querySelectorAll<HTMLInputElement>("input");

function recipeRadio(name: string, checked: boolean): HTMLLabelElement {
  const input = make("input", { type: "radio", name: "preset", value: name, checked });
  const isSuggested = name === suggestion?.suggested;
  return make(
    "label",
    {},
    input,
    make("span", {}, name),
    ...(isSuggested ? [make("em", {}, "recommended")] : []),
    make("small"),
  );
}

/** Offers the recipes of a format, the recommended one first. */
export function offerRecipes(opened: Opened): void {
  ({ format } = opened);
  suggestion = opened;
  sized = new Map();
  const { suggested } = opened;
  const names = presetsOf(format);
  const chosen = wanted !== undefined && names.includes(wanted) ? wanted : suggested;
  const inOrder = [suggested, ...names.filter((name) => name !== suggested)];
  ui.recipes.replaceChildren(...inOrder.map((name) => recipeRadio(name, name === chosen)));
  ui.refused.hidden = true;
  ui.modes.hidden = format !== "onnx";
  resetMode();
  describe();
}

/** Chooses a preset as if the visitor had, but for the next models. */
export function choose(name: string): void {
  for (const radio of radios()) radio.checked = radio.value === name;
  resetMode();
  describe();
}

/** Chooses a preset because the visitor wants it. */
export function want(name: string): void {
  wanted = name;
  choose(name);
}

/** Shows what is known of the recipes; those that would change nothing cannot be chosen, and it says why. */
export function showSizes(known: ReadonlyMap<string, Sized>): void {
  sized = known;
  /** The recipes by the reasons why they change nothing. */
  const refusals = new Map<string, string[]>();
  for (const radio of radios()) {
    const found = known.get(radio.value);
    const refusal = found?.refusal;
    radio.disabled = refusal !== undefined && !radio.checked;
    const small = radio.parentElement?.querySelector("small");
    if (small) small.textContent = found && !refusal ? formatBytes(found.outputBytes) : "";
    if (refusal) refusals.set(refusal, [...(refusals.get(refusal) ?? []), radio.value]);
  }
  const items = [...refusals].map(([reason, names]) =>
    make("li", {}, visible(`${names.join(", ")}: ${reason}`)),
  );
  ui.refused.replaceChildren(...items);
  ui.refused.hidden = items.length === 0;
  describe();
}

/** Time for the next digit of a number, in milliseconds. */
const typingDelay = 300;

/**
 * `onPreset` is called when another preset is chosen, `onOption` when something else is. Numbers count while they are
 * typed: a page that changed only when their field is left would move the button that the pointer is on.
 */
export function listenForChoices(onPreset: () => void, onOption: (isMode: boolean) => void): void {
  offerMoreOptions();
  let typing: ReturnType<typeof setTimeout> | undefined;
  const valuesOf = () => JSON.stringify([...new FormData(ui.options)]);
  let told = valuesOf();
  const tell = (target: EventTarget | null) => {
    clearTimeout(typing);
    const values = valuesOf();
    const isKnown = values === told;
    told = values;
    if (target instanceof HTMLInputElement && target.name === "preset") {
      want(target.value);
      onPreset();
    } else if (!isKnown) {
      describe();
      onOption((target as HTMLInputElement).name === "mode");
    }
  };
  ui.options.addEventListener("submit", (event) => {
    event.preventDefault();
  });
  ui.options.addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    if ((target as HTMLInputElement).type === "number")
      typing = setTimeout(() => {
        tell(target);
      }, typingDelay);
  });
  ui.options.addEventListener("change", ({ target }) => {
    // What is typed is told of in time.
    if ((target as HTMLInputElement).type !== "number") tell(target);
  });
}
