import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { root } from "./run.mjs";

/** Puts `markdown` between README.md's markers <!-- name:begin --> and <!-- name:end -->. */
export async function writeReadmeSection(name, markdown) {
  const path = join(root, "README.md");
  const text = await readFile(path, "utf8");
  const begin = `<!-- ${name}:begin -->`;
  const [start, end] = [text.indexOf(begin), text.indexOf(`<!-- ${name}:end -->`)];
  if (start < 0 || end < start) throw new Error(`README.md lacks the markers of "${name}"`);
  const head = text.slice(0, start + begin.length);
  await writeFile(path, `${head}\n\n${markdown}\n\n${text.slice(end)}`);
}

/** A Markdown table, padded as Prettier pads it; the first column is left-aligned, the rest right. */
export function markdownTable(header, rows) {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(3, ...cells.map((row) => [...row[i]].length)));
  const pad = (text, i) => {
    const space = " ".repeat(widths[i] - [...text].length);
    return i === 0 ? text + space : space + text;
  };
  const line = (row) => `| ${row.map(pad).join(" | ")} |`;
  const rule = widths.map((width, i) =>
    i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(cells[0]), `| ${rule.join(" | ")} |`, ...cells.slice(1).map(line)].join("\n");
}

/** The machine and Node.js, as the measured tables name them. */
export const machineName = () =>
  `${cpus()[0].model.trim()}, ${cpus().length} cores, Node.js ${process.versions.node}`;
