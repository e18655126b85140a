// README.md and docs/: pages whose generated parts stand between <!-- name:begin --> and <!-- name:end -->.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { choosingFigures, figures } from "./figures.mjs";
import { root } from "./run.mjs";

/** The paths of all pages, relative to the repository's root. */
export async function pagePaths() {
  const names = (await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md"));
  return ["README.md", ...names.sort().map((name) => `docs/${name}`)];
}

/** Where the part `name` begins and ends in a page's text; undefined when the page has no such part. */
function partOf(text, name) {
  const begin = `<!-- ${name}:begin -->`;
  const [start, end] = [text.indexOf(begin), text.indexOf(`<!-- ${name}:end -->`)];
  return start >= 0 && end > start ? [start + begin.length, end] : undefined;
}

/** The page that has the part `name`: {path, text, range}. Throws when there is none. */
async function pageWith(name) {
  for (const path of await pagePaths()) {
    const text = await readFile(join(root, path), "utf8");
    const range = partOf(text, name);
    if (range) return { path, text, range };
  }
  throw new Error(`No page has the markers of "${name}".`);
}

/** The Markdown of the part `name`. */
export async function readPart(name) {
  const { text, range } = await pageWith(name);
  return text.slice(...range).trim();
}

/** Replaces the part `name` of the page that has it. */
export async function writePart(name, markdown) {
  const { path, text, range } = await pageWith(name);
  const [start, end] = range;
  await writeFile(join(root, path), `${text.slice(0, start)}\n\n${markdown}\n\n${text.slice(end)}`);
}

/** Replaces a part that was measured, and the figures that are taken from such parts. */
export async function writeMeasured(name, markdown) {
  await writePart(name, markdown);
  await writePart("figures", await figures(readPart));
  await writePart("choosing", await choosingFigures(readPart));
}

/** The machine and Node.js, as the measured tables name them. */
export const machineName = () =>
  `${cpus()[0].model.trim()}, ${cpus().length} cores, Node.js ${process.versions.node}`;
