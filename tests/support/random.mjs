// Numbers that look random, and the seed that gives the same ones again.
import { randomInt } from "node:crypto";

/** Gives a function that gives whole numbers from 0 to below its argument, the same ones for the same seed. */
export function numbersBelow(seed) {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

/** Gives the seed of a test, which says it: that of the variable TEST_SEED, else another one in each run. */
export function seedFor(t) {
  const given = process.env.TEST_SEED;
  const seed = given === undefined ? randomInt(2 ** 32) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`TEST_SEED is "${given}", no whole number.`);
  t.diagnostic(`TEST_SEED=${seed}`);
  return seed;
}
