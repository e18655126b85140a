/** A control for each option of a recipe that has none of its own, made from the library's table of options. */
import type { Recipe } from "modelshrink";
import { recipeOptionInfos, type OptionInfo } from "modelshrink/options";
import { ui } from "../base/ui.js";

/** Those that have a control already, need samples, or make no sense beside a type. */
const left = new Set(["mode", "gptq", "actOrder", "sparse"]);
const infos = recipeOptionInfos.filter(({ name, kind }) => kind !== "other" && !left.has(name));

const fieldName = (name: string) => `option-${name}`;

/** "blockSize" as people read it: "block size". */
const titleOf = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function select(name: string, words: readonly string[], preset: string): HTMLSelectElement {
  const control = document.createElement("select");
  control.append(new Option(preset, ""), ...words.map((word) => new Option(word, word)));
  control.name = name;
  return control;
}

function controlOf({
  name,
  kind,
  words,
  default: preset,
}: OptionInfo): HTMLElement & { id: string } {
  const standard = preset === undefined ? "as the recipe has it" : `${String(preset)} (default)`;
  if (kind === "word") {
    return select(
      fieldName(name),
      words.filter((word) => word !== preset),
      standard,
    );
  }
  if (kind === "flag") {
    const others = preset === undefined ? ["true", "false"] : [String(preset === false)];
    return select(fieldName(name), others, standard);
  }
  const input = document.createElement("input");
  Object.assign(input, { name: fieldName(name), type: "number", min: "0", step: "1" });
  input.placeholder = String(preset);
  return input;
}

/** Puts the controls into the page. */
export function offerMoreOptions(): void {
  for (const info of infos) {
    const control = controlOf(info);
    control.id = fieldName(info.name);
    const label = document.createElement("label");
    label.htmlFor = control.id;
    label.textContent = titleOf(info.name);
    const term = document.createElement("dt");
    term.append(label);
    const sentence = document.createElement("p");
    sentence.className = "hint";
    sentence.textContent = info.sentence;
    const description = document.createElement("dd");
    description.append(control, sentence);
    ui.moreOptions.append(term, description);
  }
}

function valueOf({ kind }: OptionInfo, text: string): string | number | boolean {
  if (kind === "flag") return text === "true";
  return kind === "integer" ? Number(text) : text;
}

/** What the visitor has set, as a part of a recipe; the library checks it. */
export function moreOptions(): Partial<Recipe> {
  const data = new FormData(ui.options);
  const set = infos.flatMap((info) => {
    const text = data.get(fieldName(info.name));
    return typeof text === "string" && text !== "" ? [[info.name, valueOf(info, text)]] : [];
  });
  return Object.fromEntries(set) as Partial<Recipe>;
}

/** What it adds to the name of the output. */
export const moreLabel = (more: Partial<Recipe>): string[] =>
  Object.entries(more).map(([name, value]) =>
    typeof value === "boolean" ? (value ? name : `no-${name}`) : `${name}-${value as string}`,
  );
