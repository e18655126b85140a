/** What is left of a tensor that lost channels. */

/** The shape of a tensor of a report as it was written: "float32 [16, 8, 3, 3]". */
export function writtenShape({ shape, to }: { shape: number[]; to: string }): number[] {
  const [, dims] = / \[([\d, ]+)\]/.exec(to) ?? [];
  return dims === undefined ? shape : dims.split(", ").map(Number);
}
