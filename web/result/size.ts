/** The sizes: of the original, of the small file, and of that packed. */
import { formatBytes } from "modelshrink";
import { formatAbout, formatPercent, formatShare } from "../base/format.js";
import { ui } from "../base/ui.js";

let inputBytes = 1;
/** The share that the longest bar stands for: a restored model is larger than its original. */
let longest = 1;

/** Shows the sizes before and after; nothing is known of the packed file then. */
export function showSize(before: number, after: number): void {
  inputBytes = before;
  const share = after / before;
  longest = Math.max(1, share);
  ui.bars.style.setProperty("--size-before", String(1 / longest));
  ui.bars.style.setProperty("--size-after", String(share / longest));
  ui.bars.hidden = false;
  ui.beforeBytes.textContent = formatBytes(before);
  ui.afterBytes.textContent = `${formatBytes(after)} · ${formatPercent(share)}`;
  ui.bars.style.setProperty("--size-packed", "0");
  ui.packedBytes.textContent = "known once it is made";
}

/** Shows the size of the packed file: what is foreseen, or what it is. */
export function showPacked(bytes: number, isExact: boolean): void {
  const share = bytes / inputBytes;
  ui.bars.style.setProperty("--size-packed", String(share / longest));
  ui.packedBytes.textContent = isExact
    ? `${formatBytes(bytes)} · ${formatPercent(share)}`
    : `${formatAbout(bytes)} · ${formatShare(share)}`;
}
