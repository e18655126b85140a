/** Names and messages from files, made safe to show. Every text of an error, a warning, a note or a table is. */

/**
 * Characters that change how a terminal or an editor shows the text around them: control characters (C0, C1 and
 * DEL), line and paragraph separators, and the marks and overrides of bidirectional text.
 */
const unsafe =
  // eslint-disable-next-line no-control-regex -- these are the characters that are looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff]/g;

/**
 * Gives `text` with every character that drives a terminal, ends a line or turns the direction of writing as "\u001b",
 * four hexadecimal digits, so that a name can neither do that nor pretend to be other text. Names in results are as the
 * file has them: show them by this.
 */
export function visible(text: string): string {
  return text.replace(unsafe, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Gives a text of several lines made safe, line by line. */
export const visibleLines = (text: string): string => text.split("\n").map(visible).join("\n");

/** Gives the text of an error that other software made: in one line. */
export const oneLine = (text: string): string => text.replace(/\s*[\r\n]\s*/g, " ");
