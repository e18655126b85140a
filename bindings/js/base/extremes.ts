/** The largest and the smallest of numbers of any count: as arguments of Math.max they would have to fit the stack. */

/** Gives the largest number, or `least` when none is larger. */
export function largestOf(numbers: Iterable<number>, least = -Infinity): number {
  let largest = least;
  for (const number of numbers) largest = Math.max(largest, number);
  return largest;
}

/** Gives the smallest number; Infinity when there is none. */
export function smallestOf(numbers: Iterable<number>): number {
  let smallest = Infinity;
  for (const number of numbers) smallest = Math.min(smallest, number);
  return smallest;
}
