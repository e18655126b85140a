/** Which presets make sense for a format; the first is a safe choice. */
export const recipesFor: Readonly<Record<string, readonly string[]>> = {
  onnx: "int8 uint8 int16 int4 uint4 fp16 bf16 fp8 dynamic q8 q4".split(" "),
  safetensors: "int8 uint8 int16 int4 uint4 fp16 bf16 fp8".split(" "),
  gguf: "Q8_0 Q5_1 Q5_0 Q4_1 Q4_0 fp16 bf16".split(" "),
  tfjs: "int8 uint8 int16 fp16".split(" "),
};

export const formatNames: Readonly<Record<string, string>> = {
  onnx: "ONNX",
  safetensors: "safetensors",
  gguf: "GGUF",
  tfjs: "TensorFlow.js",
};
