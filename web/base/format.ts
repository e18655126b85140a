/** Numbers as people read them. */

export const formatPercent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** In whole percent, where space is scarce. */
export const formatShare = (share: number): string => `${Math.round(share * 100)} %`;

export function formatSqnr(decibels: number | undefined): string {
  if (decibels === undefined) return "";
  return Number.isFinite(decibels) ? `${decibels.toFixed(1)} dB` : "exact";
}

export function formatError(value: number | undefined): string {
  if (value === undefined) return "";
  return value === 0 ? "0" : value.toPrecision(3);
}
