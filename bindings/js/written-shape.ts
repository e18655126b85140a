/** What a report says became of a tensor: "float32 [16, 8, 3, 3], magnitude". */

/** The shape of a tensor of a report as it was written: "float32 [16, 8, 3, 3]". */
export function writtenShape({ shape, to }: { shape: number[]; to: string }): number[] {
  const [, dims] = / \[([\d, ]+)\]/.exec(to) ?? [];
  return dims === undefined ? shape : dims.split(", ").map(Number);
}

/** Whether weights of it were made zero or fitted anew; codes may be zero anyway. */
export const isPruned = ({ to }: { to: string }) =>
  /, (magnitude|random|threshold|wanda|sparsegpt|obc|refit|\d+:\d+)/.test(to);

/** Whether it lost channels. */
export const isCut = ({ shape, to }: { shape: number[]; to: string }) =>
  String(writtenShape({ shape, to })) !== String(shape);
