// node measured-pack.mjs <pack or unpack> <source> <output>: packs or unpacks, and prints what that took.
import * as door from "modelshrink/pack";
import { printMeasured } from "./measured.mjs";

const [, , name, source, sink] = process.argv;
await printMeasured(door.init, async () => (await door[name](source, { sink })).report);
