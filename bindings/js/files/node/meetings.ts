/** The one check that a run's files do not meet: what it reads, what it writes, and its own hidden files. */
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { ArgumentError } from "../../base/errors.js";
import { fold } from "../fold.js";
import { hidden, isOwnName, suffixes } from "./hidden.js";

/** Gives the path without links in its folders, of which the innermost ones need not exist. */
async function withoutLinks(path: string): Promise<string> {
  const whole = resolve(path);
  const rest: string[] = [];
  for (let at = whole; ; at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real !== undefined) return join(real, ...rest);
    if (dirname(at) === at) return whole;
    rest.unshift(basename(at));
  }
}

/** Gives a text that two paths have in common when both may name one place; a link at the path itself is a place. */
export async function placeOf(path: string): Promise<string> {
  const folder = await withoutLinks(dirname(resolve(path)));
  return fold(join(folder, basename(path)));
}

/** Gives the place of the path, and that of the file which it leads to where it is a link. */
export async function placesOf(path: string): Promise<string[]> {
  return [...new Set([await placeOf(path), fold(await withoutLinks(path))])];
}

/** The files of a run by their paths. */
export interface RunPaths {
  inputs: readonly string[];
  outputs: readonly string[];
  /** The folder that the user named, in which all outputs are to lie. */
  folder: string;
}

/**
 * Throws an ArgumentError when two of a run's files would be one, on whatever file system: an output and an input, two
 * outputs, or one of them and a hidden file of the run; or when an output would leave the folder through a link.
 */
export async function refuseMeetings({ inputs, outputs, folder }: RunPaths): Promise<void> {
  const taken = new Map<string, string>();
  const folders = new Set<string>();
  const root = await withoutLinks(folder);
  for (const path of outputs) {
    const home = await withoutLinks(dirname(path));
    folders.add(fold(home));
    if (home !== root && !home.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new ArgumentError(`The output "${path}" would leave "${folder}" through a link.`);
    }
    if (isOwnName(basename(path))) throw ownNameError("output", path);
  }
  for (const path of inputs) {
    for (const place of await placesOf(path)) {
      taken.set(place, "a file of the model itself");
      if (isOwnName(basename(place)) && folders.has(dirname(place))) {
        throw ownNameError("input", path);
      }
    }
  }
  for (const [i, path] of outputs.entries()) {
    const own = [hidden(path, suffixes.part)];
    if (i === 0) own.push(hidden(path, suffixes.journal), hidden(path, suffixes.nextJournal));
    const places = [...(await placesOf(path)), ...(await Promise.all(own.map(placeOf)))];
    for (const place of places) {
      const what = taken.get(place);
      if (what === undefined) continue;
      throw new ArgumentError(`The output "${path}" is ${what}: name another.`);
    }
    for (const place of places) taken.set(place, `another output, "${path}", on some file systems`);
  }
}

/** Throws an ArgumentError when the folder of an output would lie in that of an input, or be the same. */
export async function refuseInside(output: string, input: string): Promise<void> {
  const [place, home] = await Promise.all([placeOf(output), withoutLinks(input)]);
  const folder = fold(home);
  if (place !== folder && !place.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return;
  throw new ArgumentError(
    `The output "${output}" lies in "${input}", which is read: name another.`,
  );
}

const ownNameError = (what: string, path: string) =>
  new ArgumentError(
    `The ${what} "${path}" has a name that hidden files of a run have: rename it, and write to another folder.`,
  );
