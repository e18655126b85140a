/** JSON that people write: what JSON.parse() lets pass in silence is refused. */
import { FormatError } from "../base/errors.js";

/** A text, a bracket, a comma or a colon of a JSON text; numbers and words are of no interest. */
const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** Gives the first key that occurs twice in an object of a valid JSON text; undefined where none does. */
function repeatedKey(text: string): string | undefined {
  /** The keys of the objects that are open, outermost first; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let last = "";
  for (const [it] of text.matchAll(token)) {
    const keys = open.at(-1);
    if (it === "{") open.push(new Set());
    else if (it === "[") open.push(undefined);
    else if (it === "}" || it === "]") open.pop();
    else if (it === ":" && keys) {
      // Escapes write one key in several ways.
      const key = JSON.parse(last) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
    last = it;
  }
  return undefined;
}

/**
 * The value of a JSON text in UTF-8, with or without a byte order mark. Throws a FormatError, which begins with `what`,
 * for bytes that are no UTF-8, what is no JSON, and an object with one key twice.
 */
export function parseJson(what: string, bytes: Uint8Array): unknown {
  let text;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${what} is no JSON: ${String(cause)}.`, { cause });
  }
  const key = repeatedKey(text);
  if (key !== undefined) throw new FormatError(`${what} has the key ${JSON.stringify(key)} twice.`);
  return value;
}
