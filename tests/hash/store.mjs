// `node tests/hash/store.mjs [PROGRAM]`: writes hashes.txt, what every kernel makes of the same inputs, from the native
// build or another build's program. Run where bytes have changed on purpose; the change of the file then says of which
// kernels.
import { writeFile } from "node:fs/promises";
import { hashProgram, hashesByKernel, hashesOf, storedHashes } from "../support/hashes.mjs";

const [hashes] = hashesOf(process.argv[2] ?? hashProgram("native")).values();
const lines = [...hashesByKernel(hashes)].map(([kernel, hash]) => `${kernel} ${hash}\n`);
await writeFile(storedHashes, lines.join(""));
console.log(`${storedHashes}: ${lines.length} kernels`);
