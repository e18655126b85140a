/** Names and messages from files, made safe to show. */

/**
 * Characters that change how a terminal or an editor shows the text around them: control characters (C0, C1 and
 * DEL), line and paragraph separators, and the marks and overrides of bidirectional text.
 */
const unsafe =
  // eslint-disable-next-line no-control-regex -- these are the characters that are looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Gives `text` with every such character written as "\u001b", four hexadecimal digits, so that a model's names
 * can neither drive a terminal nor pretend to be other text.
 */
export function visible(text: string): string {
  return text.replace(unsafe, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
