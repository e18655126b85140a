// Packed files as an enemy would write them, by the rules of src/pack/FORMAT.md: every checksum is right.

const rotated = (x, by) => (x << by) | (x >>> (32 - by));

/** The format's checksum. */
export function checksum(bytes) {
  const sums = Array.from({ length: 16 }, (_, lane) => (0x165667b1 + lane) | 0);
  const end = bytes.length - (bytes.length % 64);
  for (let at = 0; at < end; at += 64) {
    sums.forEach((sum, lane) => {
      const word = bytes.readUInt32LE(at + 4 * lane);
      const mixed = rotated((sum + Math.imul(word, 0x85ebca77)) | 0, 13);
      sums[lane] = Math.imul(mixed, 0x9e3779b1);
    });
  }
  let h = bytes.length | 0;
  for (const sum of sums) h = Math.imul(rotated(h, 7) ^ sum, 0x9e3779b1);
  for (const byte of bytes.subarray(end)) {
    h = Math.imul(h ^ byte, 0x85ebca77);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
  return (h ^ (h >>> 13)) >>> 0;
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** The start and header of a packed file of these files: { name (text or bytes), size }. */
function headOf(files) {
  const entries = files.map(({ name, size = 0 }) => {
    const bytes = Buffer.from(name);
    return Buffer.concat([varint(bytes.length), bytes, varint(size)]);
  });
  const header = Buffer.concat([varint(files.length), ...entries]);
  const start = Buffer.concat([Buffer.from("MSPK\x01\0\0\0"), u32(header.length + 4)]);
  const head = Buffer.concat([start, header]);
  return Buffer.concat([head, u32(checksum(head))]);
}

/** A packed file of these files, without a byte of theirs: whole where their sizes are 0. */
export function hostilePack(files) {
  const head = headOf(files);
  const index = u64(0);
  return Buffer.concat([
    ...[head, Buffer.alloc(20), index],
    ...[u64(head.length + 20), u32(checksum(index)), Buffer.from("MSPK")],
  ]);
}
