/** The bytes of a WebAssembly module: (import "env" "memory") copy(to, from, size), which is memory.copy. */
export const copyModule = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 3, 127, 127, 127, 0],
  ...[2, 15, 1, 3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 0, 1],
  ...[3, 2, 1, 0, 7, 8, 1, 4, 99, 111, 112, 121, 0, 0],
  ...[10, 14, 1, 12, 0, 32, 0, 32, 1, 32, 2, 252, 10, 0, 0, 11],
);
