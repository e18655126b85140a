/** The sentences of options for help texts and forms. Written by scripts/generate.mjs from the options' tables. */
export const optionTexts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  recipe: {
    weights:
      'The number type of the weights; without it they keep theirs. "int8" may have a target.',
    target:
      "A size or an error: int8 weights get steps that are as coarse as it takes, by one rule for all tensors, and pack the better for it. Weights are read twice. With neither `weights` nor `rules` they become int8.",
    prune: "The weights that become zero; by default none. Embeddings are pruned only by a rule.",
    sparse:
      'Stores weights that stay floats without their zeros where that is smaller: as `sparse_initializer` of ONNX, which WebGPU builds of onnxruntime refuse, or in safetensors as the legacy "sparse-bitmask" of compressed-tensors, whose reader newer versions lack. Weights are read twice. False by default.',
    gptq: "Lets later weights of a layer make up for the rounding errors of earlier ones (GPTQ); needs a calibration. False by default.",
    actOrder: "Takes the inputs of large moments first, with `gptq`. False by default.",
    mode: 'The way in which quantized weights are written into an ONNX graph: "storage" (the default) loads everywhere and runs at float speed; "dynamic" computes in integers, fast on WebAssembly; "lowmem" keeps 4 or 8 bits in memory.',
    packEmbeddings:
      'Keeps embeddings packed in memory, too, with the mode "lowmem" (GatherBlockQuantized), which the build of onnxruntime-web that transformers.js imports cannot load on its WebAssembly side. False by default: embeddings are then int8 in the mode "storage", unless a rule gives them a type.',
    granularity:
      'The weights that share a scale; by default those of an output channel, and blocks for 4 bits and "lowmem". float8 has none with "tensor".',
    blockSize: "The number of weights of a row that share a scale, where blocks do; 32 by default.",
    symmetric:
      "Puts the zero point in the middle of the code range, so that it need not be stored; by default for signed types, as onnxruntime does.",
    trellis:
      "Chooses int8 codes along a trellis, of which a packed file leaves out a bit each: in as many bytes the weights are 1 dB nearer to what they were. Codes do then not make up for each other's errors, as those of a target do, and what compresses the file otherwise than `pack` finds a bit more in each. False by default.",
    minElements:
      "Tensors with fewer elements stay as they are unless a rule names them; 1024 by default.",
    nonFinite:
      'A NaN or an infinity ends the run with an error ("error", the default) or is written as 0 ("zero").',
    overflow:
      'A tensor with values beyond the range of its type stays as it is ("keep", the default; the output is then larger than planned), or they become the type\'s largest value ("saturate").',
    strip:
      "Leaves out names of nodes and documentation, and shortens names of values, but for inputs, outputs and weights (ONNX). False by default.",
    requantize:
      "Quantizes weights that are quantized already, too, but those inside an ONNX graph. False by default.",
    rules: "Exceptions by name: the first rule that matches a tensor's name decides.",
  },
  quantize: {
    type: "The number type of the codes.",
    shape: "The sizes of the array's dimensions, outermost first; by default one dimension.",
    axis: "Gives each index along this axis (negative: from the end) a scale; by default all share one.",
    blockSize: "Gives each run of this many elements along the last axis a scale.",
    symmetric:
      "Puts the zero point in the middle of the code range; by default for signed types, as onnxruntime does.",
    nonFinite:
      'A NaN or an infinity is an ArgumentError that names its index ("error", the default) or counts as 0.',
    gram: "The moments of the inputs of the layer whose weights these are: later weights make up for the errors of earlier ones (GPTQ).",
    outputAxis:
      "The axis of the outputs, with `gram`: 0 by default, 1 for a matrix [inputs, outputs].",
    damping:
      "Is added to the diagonal of XᵀX, with `gram`, as a fraction of its mean, 0 to 100; 0.01 by default.",
    actOrder: "Takes the inputs of large moments first, with `gram`. False by default.",
    staticGroups:
      "Takes the scales of all blocks from the weights as they were given, with `gram`. False by default.",
    out: "An earlier result of the same type, size and options, whose arrays are written again and are the new result's: no memory is allocated for it. They may not overlap x. After an error they may hold part of the new result.",
  },
};
