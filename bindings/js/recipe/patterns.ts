/** Patterns of names: globs and "/regular expressions/", both matched in linear time. Loaded for recipes with rules. */
import { expressionMatcher } from "./expression.js";

/** Tells whether a name is one of those that a pattern means. */
export type Matcher = (name: string) => boolean;

/** Makes words of 32 bits that hold a bit for each of `count` states. */
const bitsFor = (count: number) => new Uint32Array((count + 31) >>> 5);

const setBit = (bits: Uint32Array, at: number) => {
  bits[at >>> 5]! |= 1 << (at & 31);
};

/**
 * Makes the matcher of a glob: `*` is any text, `?` one character. State i means that i of the glob's characters are
 * matched; all states that a name can be in are followed at once, as bits, so a match takes the name's length times
 * the glob's, through 32.
 */
export function globMatcher(glob: string): Matcher {
  const wanted = Array.from(glob).filter((character) => character !== "*");
  const anyCharacter = bitsFor(wanted.length + 1);
  const byCharacter = new Map<string, Uint32Array>();
  for (const [i, character] of wanted.entries()) {
    if (character === "?") setBit(anyCharacter, i);
  }
  for (const [i, character] of wanted.entries()) {
    const bits = byCharacter.get(character) ?? anyCharacter.slice();
    setBit(bits, i);
    byCharacter.set(character, bits);
  }
  // States that stay, whatever comes: those before which a * stands.
  const staying = bitsFor(wanted.length + 1);
  let state = 0;
  for (const character of glob) {
    if (character === "*") setBit(staying, state);
    else state++;
  }
  return (name) => {
    const states = bitsFor(wanted.length + 1);
    states[0] = 1;
    for (const character of name) {
      const moving = byCharacter.get(character) ?? anyCharacter;
      let carried = 0;
      let isAlive = 0;
      for (let i = 0; i < states.length; ++i) {
        const moved = states[i]! & moving[i]!;
        states[i] = (moved << 1) | carried | (states[i]! & staying[i]!);
        carried = moved >>> 31;
        isAlive |= states[i]!;
      }
      if (isAlive === 0) return false;
    }
    return ((states[wanted.length >>> 5]! >>> (wanted.length & 31)) & 1) === 1;
  };
}

/**
 * Makes the matcher of a rule's pattern, which errors call `where`. Throws an ArgumentError for a wrong expression, or
 * one that takes more than linear time.
 */
export function matcherFor(pattern: string, where: string): Matcher {
  const found = /^\/(.+)\/(i?)$/s.exec(pattern);
  if (!found) return globMatcher(pattern);
  return expressionMatcher(found[1]!, found[2] ? "iu" : "u", where);
}
