/** Bytes of arrays, and sizes in bytes as people read them. */
import { ArgumentError } from "./errors.js";
import { isDetached } from "./tags.js";

const units = ["B", "kB", "MB", "GB", "TB"];

/** Gives a size as text, such as "10.8 MB": decimal units, three digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]!}`;
}

/** Throws an ArgumentError where the memory of an array from a user was given to somebody else. */
export function checkLive({ buffer }: ArrayBufferView): void {
  if (isDetached(buffer)) {
    throw new ArgumentError("The array's buffer was transferred: pass one that is still here.");
  }
}

/** Gives the bytes of an array from a user; throws as {@link checkLive}. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  checkLive(array);
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
