/** Numbers as people read them. */
import { formatBytes } from "modelshrink";

export const formatPercent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** In whole percent, where space is scarce. */
export const formatShare = (share: number): string => `${Math.round(share * 100)} %`;

/** A size that is foreseen, in as many digits as may be right: "≈ 2.3 MB". */
export const formatAbout = (bytes: number): string =>
  `≈ ${formatBytes(Number(bytes.toPrecision(2))).replace(/\.?0+(?= )/, "")}`;

export function formatSqnr(decibels: number | undefined): string {
  if (decibels === undefined) return "";
  return Number.isFinite(decibels) ? `${decibels.toFixed(1)} dB` : "exact";
}

export function formatError(value: number | undefined): string {
  if (value === undefined) return "";
  return value === 0 ? "0" : value.toPrecision(3);
}
