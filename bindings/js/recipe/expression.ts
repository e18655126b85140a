/**
 * Regular expressions that are matched in linear time: all states that a text can be in are followed at once, so no
 * expression and no name makes it go back.
 */
import { ArgumentError } from "../base/errors.js";

/** The largest number of states, which with the length of a name bounds the time of a match. */
const maxStates = 2000;
const maxDepth = 100;

/** An instruction of the program that an expression becomes. The one behind it follows where nothing is said. */
type Instruction =
  | { kind: "character"; matches: (character: string) => boolean }
  /** Goes on here and there. */
  | { kind: "split"; to: number[] }
  /** Goes on where the place between two characters is right; undefined stands for the text's ends. */
  | { kind: "place"; fits: (before: string | undefined, after: string | undefined) => boolean }
  | { kind: "match" };

/** One thing that is repeated or stands alone: writes its instructions. */
type Part = () => void;

/** One character of a text: an escape, a class or the character itself. */
const atom =
  /\\u\{[\da-f]+\}|\\ud[89ab]..\\ud[c-f]..|\\u....|\\x..|\\c.|\\p\{[^}]*\}|\\[^]|\[(?:\\[^]|[^\]\\])*\]|[^]/iuy;
const quantifier = /([*+?]|\{(\d+)(,?)(\d*)\})\??/uy;
/** The start of a group; with lookarounds and modifiers, which are refused. */
const groupStart = /\((?:\?(?::|<(?![=!])[^>]*>|([^:]*?[=!:])))?/uy;

/** Translates one expression. Its syntax is known to be right, because the engine's own parser took it. */
class Translator {
  readonly #source: string;
  readonly #flags: string;
  readonly #where: string;
  readonly #program: Instruction[] = [];
  #at = 0;
  #depth = 0;
  #work = 0;

  constructor(source: string, flags: string, where: string) {
    this.#source = source;
    this.#flags = flags;
    this.#where = where;
  }

  /** Gives the program. Throws an ArgumentError for what takes more than linear time, or too many states. */
  translate(): readonly Instruction[] {
    this.#alternatives()();
    this.#program.push({ kind: "match" });
    return this.#program;
  }

  #refuse(what: string): never {
    throw new ArgumentError(
      `${this.#where} has ${what}: expressions are matched in linear time, without lookarounds, back references ` +
        `and modifiers, with at most ${maxStates} states.`,
    );
  }

  /** Takes what `expression` finds at this place, if it does. */
  #take(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#source) ?? undefined;
    this.#at += found?.[0].length ?? 0;
    return found;
  }

  #write(instruction: Instruction): void {
    this.#program.push(instruction);
  }

  /** Counts a piece of work; repetitions within each other multiply it. */
  #count(): void {
    if (++this.#work > maxStates || this.#program.length > maxStates) {
      this.#refuse("too many states");
    }
  }

  #alternatives(): Part {
    const branches = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      branches.push(this.#sequence());
    }
    return () => {
      const ends: number[][] = [];
      for (const [i, branch] of branches.entries()) {
        const to: number[] = [];
        const isLast = i === branches.length - 1;
        if (!isLast) this.#write({ kind: "split", to });
        to.push(this.#program.length);
        branch();
        if (isLast) break;
        const end: number[] = [];
        this.#write({ kind: "split", to: end });
        ends.push(end);
        to.push(this.#program.length);
      }
      for (const end of ends) end.push(this.#program.length);
    };
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) {
      parts.push(this.#repeated(this.#single()));
    }
    return () => {
      for (const part of parts) part();
    };
  }

  #single(): Part {
    const group = this.#take(groupStart);
    if (group) {
      if (group[1] !== undefined) this.#refuse(`"(?${group[1]}"`);
      if (++this.#depth > maxDepth) this.#refuse(`more than ${maxDepth} groups in each other`);
      const inner = this.#alternatives();
      this.#depth--;
      // The closing bracket.
      this.#at++;
      return inner;
    }
    const [text] = this.#take(atom)!;
    if (/^\\[1-9k]/.test(text)) this.#refuse(`"${text}"`);
    return () => {
      this.#count();
      this.#write(this.#instructionFor(text));
    };
  }

  #instructionFor(text: string): Instruction {
    if (text === "^") return { kind: "place", fits: (before) => before === undefined };
    if (text === "$") return { kind: "place", fits: (_, after) => after === undefined };
    if (text === "\\b" || text === "\\B") {
      const word = new RegExp("\\w", this.#flags);
      const isWord = (it: string | undefined) => it !== undefined && word.test(it);
      const isEdge = text === "\\b";
      return {
        kind: "place",
        fits: (before, after) => (isWord(before) !== isWord(after)) === isEdge,
      };
    }
    const isPlain = !/[.[\\]/.test(text) && !this.#flags.includes("i");
    if (isPlain) return { kind: "character", matches: (character) => character === text };
    // Of a single character the engine's own expressions take no time.
    const one = new RegExp(`^${text}$`, this.#flags);
    return { kind: "character", matches: (character) => one.test(character) };
  }

  #repeated(part: Part): Part {
    const found = this.#take(quantifier);
    if (!found) return part;
    const [, sign, least, comma, most] = found;
    const min = sign === "+" ? 1 : Number(least ?? 0);
    const fixedMax = comma ? (most ? Number(most) : Infinity) : min;
    const max = least !== undefined ? fixedMax : sign === "?" ? 1 : Infinity;
    return () => {
      for (let i = 0; i < min; ++i) {
        this.#count();
        part();
      }
      if (max === Infinity) this.#loop(part);
      else this.#upTo(part, max - min);
    };
  }

  #loop(part: Part): void {
    this.#count();
    const start = this.#program.length;
    const to = [start + 1];
    this.#write({ kind: "split", to });
    part();
    this.#write({ kind: "split", to: [start] });
    to.push(this.#program.length);
  }

  #upTo(part: Part, times: number): void {
    const exits: number[][] = [];
    for (let i = 0; i < times; ++i) {
      this.#count();
      const to = [this.#program.length + 1];
      this.#write({ kind: "split", to });
      exits.push(to);
      part();
    }
    for (const to of exits) to.push(this.#program.length);
  }
}

/** A text on its way through a program. */
class Run {
  readonly #program: readonly Instruction[];
  /** The number of the last place at which each instruction was reached. */
  readonly #reached: Uint32Array;
  #place = 0;
  #waiting: number[] = [];

  constructor(program: readonly Instruction[]) {
    this.#program = program;
    this.#reached = new Uint32Array(program.length);
  }

  /** Goes over the place between two characters; tells whether the expression has matched. */
  advance(before: string | undefined, after: string | undefined): boolean {
    this.#place++;
    const next: number[] = [];
    // A match may begin at any place.
    const open = [0, ...this.#waiting];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.#reached[at] === this.#place) continue;
      this.#reached[at] = this.#place;
      const instruction = this.#program[at]!;
      if (instruction.kind === "match") return true;
      if (instruction.kind === "split") for (const to of instruction.to) open.push(to);
      else if (instruction.kind === "place") {
        if (instruction.fits(before, after)) open.push(at + 1);
      } else if (after !== undefined && instruction.matches(after)) next.push(at + 1);
    }
    this.#waiting = next;
    return false;
  }
}

/**
 * Makes a function that tells whether an expression, which errors call `where`, matches a text anywhere, as
 * `new RegExp(source, flags).test(text)` does. Its time is at most the text's length times the expression's. Throws an
 * ArgumentError for what is no expression of JavaScript, for lookarounds, back references and modifiers, and for more
 * than 2000 states.
 */
export function expressionMatcher(
  source: string,
  flags: "u" | "iu",
  where: string,
): (text: string) => boolean {
  try {
    new RegExp(source, flags);
  } catch (cause) {
    throw new ArgumentError(`${where} is no regular expression: ${String(cause)}.`, { cause });
  }
  const program = new Translator(source, flags, where).translate();
  return (text) => {
    const run = new Run(program);
    let before: string | undefined;
    for (const character of text) {
      if (run.advance(before, character)) return true;
      before = character;
    }
    return run.advance(before, undefined);
  };
}
