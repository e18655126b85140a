/** Numbers as people read them. */

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export const formatPercent = (share: number): string => `${(share * 100).toFixed(1)} %`;

export function formatSqnr(decibels: number | undefined): string {
  if (decibels === undefined) return "";
  return Number.isFinite(decibels) ? `${decibels.toFixed(1)} dB` : "exact";
}

export function formatError(value: number | undefined): string {
  if (value === undefined) return "";
  return value === 0 ? "0" : value.toPrecision(3);
}
