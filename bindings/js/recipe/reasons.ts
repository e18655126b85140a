/** Reasons that the recipe gives, and not the core: codes of src/formats/reasons.def, and their sentences. */
import { recipeSentences } from "../base/reason-table.js";
import type { ReasonCode } from "../base/reason-table.js";
import { visible } from "../base/visible.js";
import type { CoreReason } from "../core/types.js";

/** A reason that is given here. */
export interface OwnReason extends CoreReason {
  code: keyof typeof recipeSentences;
  cause?: OwnReason;
}

function sentenceOf({ code, arguments: values = {}, cause }: OwnReason): string {
  return recipeSentences[code].replace(/\{(\w+)\}/g, (_, place: string) =>
    place === "cause" && cause ? sentenceOf(cause) : String(values[place] ?? ""),
  );
}

const sentences = new WeakMap<OwnReason, string>();

/** The part of a tensor's report that says why: `note` is made of `reasons`. */
interface Explained {
  note?: string;
  reasons?: CoreReason[];
}

/** Gives a tensor this reason instead of those that it had. */
export function explain(tensor: Explained, reason: OwnReason): void {
  let sentence = sentences.get(reason);
  if (sentence === undefined) {
    sentence = visible(sentenceOf(reason));
    // Many tensors have the same reason.
    sentences.set(reason, sentence);
  }
  tensor.reasons = [{ ...reason }];
  tensor.note = sentence;
}

/** Tells whether one of the tensor's reasons has this code. */
export const hasReason = ({ reasons }: Explained, code: ReasonCode): boolean =>
  reasons?.some((reason) => reason.code === code) ?? false;
