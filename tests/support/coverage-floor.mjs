// What share of their lines the folders of src have to have covered, for scripts/fuzz-coverage.mjs.

const floor = 80;
/** In src; the tests and corpora reach at least `floor` percent of the lines of each. */
export const foldersWithFloor = ["formats", "pipeline", "calibrated", "prune", "sparse"];

/** Adds up the lines of the files of each folder: of src, and of the formats' own. */
export function linesByFolder(files) {
  const lines = new Map();
  for (const [path, { count, covered }] of files) {
    const parts = path.split("/");
    for (let i = 1; i < Math.max(parts.length, 2); ++i) {
      const key = parts.slice(0, i).join("/");
      const sum = lines.get(key) ?? { count: 0, covered: 0 };
      lines.set(key, { count: sum.count + count, covered: sum.covered + covered });
    }
  }
  return lines;
}

/** Gives the covered lines of 100. */
export const percent = ({ covered, count } = { covered: 0, count: 1 }) => (100 * covered) / count;

/**
 * Judges each folder that has a floor: by its covered lines, and by whether the data has lines of every source file
 * of it, so that nothing passes by being left out.
 *
 * @param files - {count, covered} by path in src
 * @param sources - the paths in src of all files to compile
 * @returns { ok, line } for each folder
 */
export function judge(files, sources) {
  const lines = linesByFolder(files);
  return foldersWithFloor.map((name) => {
    const own = sources.filter((path) => path.startsWith(`${name}/`));
    const missing = own.filter((path) => !(files.get(path)?.count > 0));
    const reached = percent(lines.get(name));
    const ok = reached >= floor && own.length > 0 && missing.length === 0;
    const noted = missing.length > 0 ? `, without data of ${missing.join(", ")}` : "";
    const line = `src/${name}: ${reached.toFixed(1)} % of its lines, at least ${floor} %${noted}`;
    return { ok, line: `${ok ? "✔" : "✖"} ${line}` };
  });
}
