// A safetensors model whose int8 form is above 4 MiB, so that `workers` is worth starting any.

const rows = 1024;
const names = ["a", "b", "c", "d", "e", "f"];
/** The header is longer than this, and so than the window in which modelshrink keeps small reads. */
export const minHeaderBytes = 100_000;
const tensorBytes = 4 * rows * rows;

/** The header's size comes first. */
const headerStart = 8;

export function wideModel() {
  const entries = names.map((name, i) => [
    `${name}.weight`,
    { dtype: "F32", shape: [rows, rows], data_offsets: [i * tensorBytes, (i + 1) * tensorBytes] },
  ]);
  const metadata = { padding: " ".repeat(minHeaderBytes) };
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const model = new Uint8Array(headerStart + header.length + names.length * tensorBytes);
  new DataView(model.buffer).setUint32(0, header.length, true);
  model.set(header, headerStart);
  const values = new Float32Array(model.buffer, headerStart + header.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = (Math.imul(i, 0x9e3779b1) >> 8) / (1 << 23);
  }
  return model;
}
