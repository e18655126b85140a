/** Packs and unpacks with one of the builds, SIMD or not. */
import { parentPort, workerData } from "node:worker_threads";
import { init, pack, unpack } from "modelshrink/pack";

const { simd, sets } = workerData;
const info = await init({ simd });
const bytesOf = async ({ files }) =>
  Promise.all(Object.values(files).map(async (it) => new Uint8Array(await it.arrayBuffer())));
const packed = [];
const unpacked = [];
for (const files of sets) {
  const [bytes] = await bytesOf(await pack(files));
  packed.push(bytes);
  unpacked.push(await bytesOf(await unpack(bytes, { maxGrowth: 1e4 })));
}
parentPort.postMessage({ info, packed, unpacked });
