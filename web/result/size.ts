/** The sizes before and after. */
import { formatBytes } from "modelshrink";
import { formatPercent } from "../base/format.js";
import { ui } from "../base/ui.js";

export function showSize(inputBytes: number, outputBytes: number): void {
  const share = outputBytes / inputBytes;
  // A restored model is larger than its original.
  const largest = Math.max(1, share);
  ui.bars.style.setProperty("--size-before", String(1 / largest));
  ui.bars.style.setProperty("--size-after", String(share / largest));
  ui.bars.hidden = false;
  ui.beforeBytes.textContent = formatBytes(inputBytes);
  ui.afterBytes.textContent = `${formatBytes(outputBytes)} · ${formatPercent(share)}`;
}
