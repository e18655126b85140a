// PP-OCRv4 text detection: page image -> text boxes, and their F1 score against the known boxes.
import { normalizedPlanes } from "./images.mjs";

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
// The values of PP-OCRv4's own configuration (DBPostProcess), for upright boxes.
const PIXEL_THRESHOLD = 0.3;
const BOX_THRESHOLD = 0.6;
const UNCLIP_RATIO = 1.5;
const MIN_SIDE = 3;

/** The detector's feed for a page whose sides are multiples of 32. */
export function detectionInput(page) {
  return { data: normalizedPlanes(page, MEAN, STD), dims: [1, 3, page.height, page.width] };
}

/** Bounding boxes {left, top, right, bottom, score} of the 4-connected regions above the threshold. */
function regions(map, width, height) {
  const seen = new Uint8Array(map.length);
  const found = [];
  for (let seed = 0; seed < map.length; ++seed) {
    if (seen[seed] || map[seed] <= PIXEL_THRESHOLD) continue;
    const box = { left: width, top: height, right: 0, bottom: 0, score: 0 };
    const stack = [seed];
    let count = 0;
    seen[seed] = 1;
    while (stack.length > 0) {
      const at = stack.pop();
      const x = at % width;
      const y = (at - x) / width;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
      box.score += map[at];
      ++count;
      const neighbors = [x > 0 && at - 1, x + 1 < width && at + 1, y > 0 && at - width];
      neighbors.push(y + 1 < height && at + width);
      for (const next of neighbors) {
        if (next === false || seen[next] || map[next] <= PIXEL_THRESHOLD) continue;
        seen[next] = 1;
        stack.push(next);
      }
    }
    found.push({ ...box, score: box.score / count });
  }
  return found;
}

/** Text boxes of a probability map [1, 1, height, width]: regions, grown as the network shrank them. */
export function textBoxes({ data, dims: [, , height, width] }) {
  const boxes = [];
  for (const { left, top, right, bottom, score } of regions(data, width, height)) {
    const sides = [right - left, bottom - top];
    if (score < BOX_THRESHOLD || Math.min(...sides) < MIN_SIDE) continue;
    const grow = (sides[0] * sides[1] * UNCLIP_RATIO) / (2 * (sides[0] + sides[1]));
    boxes.push([left - grow, top - grow, right + grow, bottom + grow]);
  }
  return boxes;
}

function intersectionOverUnion(a, b) {
  const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return shared / (area(a) + area(b) - shared);
}

/** The number of known boxes that some found box, used once, covers at IoU >= 0.5. */
export function countMatches(known, found) {
  const free = new Set(found);
  let matches = 0;
  for (const box of known) {
    for (const candidate of free) {
      if (intersectionOverUnion(box, candidate) < 0.5) continue;
      free.delete(candidate);
      ++matches;
      break;
    }
  }
  return matches;
}
