import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumOf } from "../../dist/files/node/checksum.js";

const bytes = Uint8Array.from({ length: 1023 }, (_, i) => (i * 7) ^ (i >> 3));

test("every bit counts", () => {
  const expected = checksumOf(bytes);
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[i] ^= 1 << bit;
      assert.notEqual(checksumOf(changed), expected, `byte ${i}, bit ${bit}`);
    }
  }
});

test("two changes do not cancel out", () => {
  for (let i = 3; i + 16 < bytes.length; i += 4) {
    const changed = Uint8Array.from(bytes);
    changed[i] ^= 0x80;
    changed[i + 16] ^= 0x80;
    assert.notEqual(checksumOf(changed), checksumOf(bytes), `byte ${i}`);
  }
});

test("so do the order and the length", () => {
  const swapped = Uint8Array.from(bytes);
  swapped.set(bytes.subarray(0, 512), 512 - 1);
  assert.notEqual(checksumOf(swapped), checksumOf(bytes));
  const lengths = Array.from({ length: 70 }, (_, i) => checksumOf(new Uint8Array(i)));
  assert.equal(new Set(lengths).size, lengths.length);
});

test("where the bytes lie does not matter", () => {
  for (let offset = 0; offset < 8; offset++) {
    const buffer = new Uint8Array(bytes.length + 8);
    buffer.set(bytes, offset);
    assert.equal(checksumOf(buffer.subarray(offset, offset + bytes.length)), checksumOf(bytes));
  }
});
