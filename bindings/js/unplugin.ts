/**
 * modelshrink/unplugin: models that a bundler shrinks where they are imported, `import url from "./model.onnx?shrink=int8"`,
 * so that the download is small, too. For Vite, Rollup, webpack and esbuild, by the library unplugin, which is to be
 * installed beside.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createUnplugin, type UnpluginContextMeta, type UnpluginInstance } from "unplugin";
import { ArgumentError, FormatError } from "./base/errors.js";
import { packExtension } from "./base/formats.js";
import { checkKeys, checkObject } from "./base/options.js";
import { version } from "./base/version.js";
import { presets } from "./recipe/presets.js";
import type { Recipe } from "./recipe/options.js";
import { inspect } from "./models/inspect.js";
import { pack } from "./pack/pack.js";
import { shrink } from "./shrink.js";

/** The options of {@link shrinkPlugin}. */
export interface ShrinkPluginOptions {
  /** Recipes by the names that `?shrink=` may have beside those of presets. */
  recipes?: Record<string, Recipe>;
  /**
   * The folder that keeps small models between builds; "node_modules/.cache/modelshrink" by default. Nothing removes
   * what no build uses any more: delete the folder whenever you like.
   */
  cacheDir?: string;
}

/** A file of a small model. */
interface SmallFile {
  name: string;
  path: string;
}

const query = /[?&]shrink(?:=([^&]*))?(?:&|$)/;
const packedQuery = /[?&]packed(?:&|$)/;
const withoutQuery = (id: string) => id.replace(/\?.*$/, "");

/** Gives the recipe that an import names; "int8" where it names none. Throws an ArgumentError for an unknown one. */
function recipeOf(id: string, recipes: Record<string, Recipe>): string | Recipe {
  const name = query.exec(id)?.[1] ?? "int8";
  if (Object.hasOwn(recipes, name)) return recipes[name]!;
  if (Object.hasOwn(presets, name)) return name;
  const known = [...Object.keys(recipes), ...Object.keys(presets)].join(", ");
  throw new ArgumentError(
    `${JSON.stringify(id)} asks for the recipe "${name}"; there are ${known}.`,
  );
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Gives the digests of all files of a folder, as a text. */
async function digestsOf(folder: string): Promise<string> {
  const lines: string[] = [];
  for (const name of (await readdir(folder)).sort())
    lines.push(`${await digestOf(join(folder, name))}  ${name}\n`);
  return lines.join("");
}

/** The parts of what is kept of a small model: its files, and their digests. */
const placesIn = (folder: string) => ({
  files: join(folder, "files"),
  digests: join(folder, "sha256"),
});

/** Tells whether the files of a small model are what was kept. */
async function isWhole(folder: string): Promise<boolean> {
  const { files, digests } = placesIn(folder);
  try {
    return (await readFile(digests, "utf8")) === (await digestsOf(files));
  } catch {
    return false;
  }
}

/** Packs a model, and removes its own files, which have the folder to themselves. */
async function packInstead(main: string): Promise<void> {
  const packed = `${main}.${packExtension}`;
  await pack(main, { sink: packed });
  for (const name of await readdir(dirname(main))) {
    if (name !== basename(packed)) await rm(join(dirname(main), name));
  }
}

/** Gives the folder of the small model's files within `cacheDir`, which is written when it is not there. */
async function shrunkFolder(
  path: string,
  recipe: string | Recipe,
  isPacked: boolean,
  inputs: readonly string[],
  cacheDir: string,
): Promise<string> {
  const key = createHash("sha256").update(
    JSON.stringify([version, basename(path), recipe, isPacked]),
  );
  for (const input of inputs) key.update(await digestOf(input));
  const folder = join(cacheDir, key.digest("hex"));
  const { files } = placesIn(folder);
  if (await isWhole(folder)) return files;
  await mkdir(cacheDir, { recursive: true });
  // Whole or not at all: another build may read the cache meanwhile.
  const draft = await mkdtemp(join(cacheDir, "draft-"));
  try {
    const made = placesIn(draft);
    await mkdir(made.files);
    const main = join(made.files, basename(path));
    await shrink(path, recipe, { sink: main });
    if (isPacked) await packInstead(main);
    await writeFile(made.digests, await digestsOf(made.files));
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Two builds at once make the same.
    if (!(await isWhole(folder))) throw error;
  }
  return files;
}

/** The part of a bundler's context that plugins of all bundlers have, and what Rollup's functions give. */
interface Context {
  addWatchFile(path: string): void;
  emitFile(file: { type: "asset"; name?: string; fileName?: string; source: Uint8Array }): unknown;
}

/** Gives the expression of a file's address in the code of the framework's bundle; emits the file. */
async function addressOf(
  { name, path }: SmallFile,
  framework: UnpluginContextMeta["framework"],
  context: Context,
): Promise<string> {
  const source = await readFile(path);
  if (framework !== "webpack" && framework !== "rspack" && framework !== "esbuild") {
    const reference = String(context.emitFile({ type: "asset", name, source }));
    return `import.meta.ROLLUP_FILE_URL_${reference}`;
  }
  const ending = extname(name);
  const hash = createHash("sha256").update(source).digest("hex").slice(0, 8);
  const fileName = `${basename(name, ending)}-${hash}${ending}`;
  context.emitFile({ type: "asset", fileName, source });
  const text = JSON.stringify(fileName);
  return framework === "esbuild"
    ? `new URL(${JSON.stringify(`./${fileName}`)}, import.meta.url).href`
    : `__webpack_public_path__ + ${text}`;
}

/** Gives the module that an import of a packed model becomes. */
const packedModuleOf = (address: string): string =>
  [
    `import { unpack } from "modelshrink/pack";`,
    `const address = ${address};`,
    "export const load = (options) => unpack(address, options);",
    "export default address;\n",
  ].join("\n");

/** Gives the module that an import of a model becomes. */
async function moduleOf(
  main: string,
  files: readonly SmallFile[],
  addressFor: (file: SmallFile) => Promise<string>,
): Promise<string> {
  const entries: string[] = [];
  for (const file of files) entries.push(`${JSON.stringify(file.name)}: ${await addressFor(file)}`);
  return `export const files = { ${entries.join(", ")} };\nexport default files[${JSON.stringify(main)}];\n`;
}

/**
 * The plugin of every bundler: `shrinkPlugin.vite(options)`, `.rollup()`, `.webpack()`, `.esbuild()` and the others that
 * unplugin knows. A module `"./model.onnx?shrink=int8"` has the address of the small model as its default export, and
 * those of all its files by name as `files`. Without a name `?shrink` is int8. A module `"./model.onnx?shrink=int8&packed"`
 * has the address of a packed file, and a function `load`, which downloads and unpacks it as `unpack` does. Models whose main file is JSON
 * (TensorFlow.js, safetensors in shards) are a {@link FormatError}: bundlers take their main file for their own.
 */
export const shrinkPlugin: UnpluginInstance<ShrinkPluginOptions | undefined> = createUnplugin(
  (options, { framework }) => {
    const given = checkObject("options", options ?? {}) as ShrinkPluginOptions;
    checkKeys("options", given, ["recipes", "cacheDir"]);
    const { recipes = {}, cacheDir = "node_modules/.cache/modelshrink" } = given;
    /** The base of the development server's addresses, which emits nothing. */
    let served: string | undefined;
    return {
      name: "modelshrink",
      enforce: "pre" as const,
      resolveId(id, importer) {
        if (!query.test(id) || importer === undefined || !/^\.\.?\//.test(id)) return undefined;
        return join(dirname(withoutQuery(importer)), withoutQuery(id)) + /\?.*$/.exec(id)![0];
      },
      load: {
        filter: { id: query },
        async handler(id) {
          const path = withoutQuery(id);
          const main = basename(path);
          if (/\.json$/i.test(main)) {
            throw new FormatError(`"${main}": a model whose main file is JSON cannot be imported.`);
          }
          const inputs = (await inspect(path)).files.map(({ name }) => join(dirname(path), name));
          for (const input of inputs) this.addWatchFile(input);
          const recipe = recipeOf(id, recipes);
          const isPacked = packedQuery.test(id);
          const folder = await shrunkFolder(path, recipe, isPacked, inputs, resolve(cacheDir));
          const files = (await readdir(folder))
            .sort()
            .map((name) => ({ name, path: join(folder, name) }));
          const addressFor = (file: SmallFile) =>
            served === undefined
              ? addressOf(file, framework, this)
              : Promise.resolve(JSON.stringify(`${served}@fs${pathToFileURL(file.path).pathname}`));
          const code = isPacked
            ? packedModuleOf(await addressFor(files[0]!))
            : await moduleOf(main, files, addressFor);
          return { code, map: null };
        },
      },
      vite: {
        configResolved({ command, base }: { command: string; base: string }) {
          served = command === "serve" ? base : undefined;
        },
      },
    };
  },
);
