/** Code that does what the page does, for the recipe that is chosen. */
import type { FormatName, Recipe } from "modelshrink";
import { presets } from "modelshrink";
import { recipeOptionInfos } from "modelshrink/options";
import { besideUrl } from "../../bindings/js/files/url.js";

export type SnippetKind = "node" | "page" | "command";

export interface Subject {
  /** The preset that the recipe begins with. */
  preset: string;
  recipe: Recipe;
  format: FormatName;
  /** The name of the main file, or its address. */
  main: string;
  /** The name of the small model's file, or of its folder. */
  output: string;
  isOneFile: boolean;
}

/** The recipe's options that the preset has not. */
function changesOf({ preset, recipe }: Subject): [string, unknown][] {
  const own: Readonly<Record<string, unknown>> = { ...presets[preset]?.recipe };
  return Object.entries(recipe).filter(([name, value]) => own[name] !== value);
}

/** `"int8"`, or the options as an object. */
function recipeCode(subject: Subject): string {
  if (changesOf(subject).length === 0) return JSON.stringify(subject.preset);
  const text = JSON.stringify(subject.recipe, undefined, 1);
  return text.replaceAll(/\n\s*/g, " ").replaceAll(/"(\w+)":/g, "$1:");
}

function nodeCode(subject: Subject): string {
  const { main, output } = subject;
  // A folder of its own: the files keep their names.
  const head = subject.isOneFile
    ? [`import { shrink } from "modelshrink";`, ``]
    : [
        `import { mkdir } from "node:fs/promises";`,
        `import { shrink } from "modelshrink";`,
        ``,
        `await mkdir(${JSON.stringify(output)}, { recursive: true });`,
      ];
  const sink = subject.isOneFile
    ? JSON.stringify(output)
    : `(name) => \`${output.replaceAll(/[`\\$]/g, "\\$&")}/\${name}\``;
  return [
    ...head,
    `const { report } = await shrink(${JSON.stringify(main)}, ${recipeCode(subject)}, {`,
    `  sink: ${sink},`,
    `});`,
    `console.log(report.inputBytes, "→", report.outputBytes);`,
  ].join("\n");
}

function pageCode(subject: Subject): string {
  const { main } = subject;
  const address = /^https?:/.test(main) ? main : new URL(besideUrl(main, "https://app/")).pathname;
  return [
    `import { createShrinkCache } from "modelshrink/cache";`,
    ``,
    `// Downloads and shrinks it once; from then on the small one is there, packed, without a network.`,
    `const cache = createShrinkCache({ recipe: ${recipeCode(subject)}, packed: true });`,
    `const { files } = await cache.cached(${JSON.stringify(address)});`,
    `const [small] = Object.values(files); // a Blob`,
  ].join("\n");
}

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A word for a shell. */
const quoted = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text) && !text.startsWith("-")
    ? text
    : `'${text.replaceAll("'", `'\\''`)}'`;

function pruneWord(prune: Recipe["prune"]): string {
  if (!prune) return "";
  if ("n" in prune) return `${prune.n}:${prune.m}`;
  const method = prune.method === "magnitude" ? prune.allocation : undefined;
  const name = method === undefined || method === "uniform" ? prune.method : method;
  return `${name}:${prune.sparsity}`;
}

function flagOf([name, value]: [string, unknown]): string {
  if (name === "prune") return `--prune ${pruneWord(value as Recipe["prune"])}`;
  const isFlag = recipeOptionInfos.find((info) => info.name === name)?.kind === "flag";
  return isFlag ? `--${kebab(name)}` : `--${kebab(name)} ${quoted(String(value))}`;
}

function commandCode(subject: Subject): string {
  const { preset, recipe, main, output, isOneFile } = subject;
  const changes = changesOf(subject);
  // No flag of the command says that an option is off: only a recipe file can.
  const needsFile = changes.some(([, value]) => value === false);
  const head = needsFile
    ? `cat > recipe.json <<'END'\n${JSON.stringify(recipe, undefined, 2)}\nEND\n`
    : "";
  const words = [
    `npx modelshrink shrink ${quoted(main)}`,
    ...(needsFile ? ["--recipe recipe.json"] : [`--recipe ${preset}`, ...changes.map(flagOf)]),
    `-o ${quoted(isOneFile ? output : `${output}/`)}`,
  ];
  return head + words.join(" \\\n  ");
}

const kinds: Readonly<Record<SnippetKind, (subject: Subject) => string>> = {
  node: nodeCode,
  page: pageCode,
  command: commandCode,
};

export const snippetOf = (kind: string, subject: Subject): string =>
  (kinds[kind as SnippetKind] as typeof nodeCode | undefined)?.(subject) ?? "";
