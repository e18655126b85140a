// The fixtures that blocks for pages use.
export const fixtures = {
  model: async () => new Uint8Array(await (await fetch("/model.onnx")).arrayBuffer()),
};
