// PP-OCRv4 text recognition: line image -> text, and the character error rate.
import { normalizedPlanes, resize } from "./images.mjs";

export {
  characterErrorRate,
  compareLetters,
  decodeCtc,
  editDistance,
  recognitionClasses,
} from "../../web/trial/reading.mjs";

const INPUT_HEIGHT = 48;
const HALF = [0.5, 0.5, 0.5];

/** The recognizer's feed for one line image: [1, 3, 48, width], the aspect ratio kept. */
export function recognitionInput(image) {
  const width = Math.max(1, Math.ceil((image.width * INPUT_HEIGHT) / image.height));
  const scaled = resize(image, width, INPUT_HEIGHT);
  return { data: normalizedPlanes(scaled, HALF, HALF), dims: [1, 3, INPUT_HEIGHT, width] };
}
