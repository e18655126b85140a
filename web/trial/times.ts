/** Times of runs: the first ones, and those that something else of the machine disturbs, take longer. */
export function median(times: readonly number[]): number {
  const inOrder = [...times].sort((a, b) => a - b);
  return inOrder[inOrder.length >> 1] ?? 0;
}
