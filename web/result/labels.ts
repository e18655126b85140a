/** Places for the names of points in a drawing. */

/** A point with the width of its name; all in pixels of the canvas, from its upper left corner. */
export interface Labelled {
  x: number;
  y: number;
  width: number;
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.left + b.width &&
  b.left < a.left + a.width &&
  a.top < b.top + b.height &&
  b.top < a.top + a.height;

const isWithin = (inner: Box, outer: Box): boolean =>
  inner.left >= outer.left &&
  inner.top >= outer.top &&
  inner.left + inner.width <= outer.left + outer.width &&
  inner.top + inner.height <= outer.top + outer.height;

/**
 * Gives a box for each name, in the order of the points: above its point, below, right or left of it, whichever is
 * free first; undefined where none is. No box overlaps another one or a point, and all are within `within`. `dot` is
 * the diameter of a point, `height` that of a name.
 */
export function placeLabels(
  points: readonly Labelled[],
  { dot, height, within }: { dot: number; height: number; within: Box },
): (Box | undefined)[] {
  const taken: Box[] = points.map(({ x, y }) => ({
    ...{ left: x - dot / 2, top: y - dot / 2, width: dot, height: dot },
  }));
  return points.map(({ x, y, width }) => {
    const room = dot / 2 + 2;
    const center = x - width / 2;
    const places = [
      [center, y - room - height],
      [center, y + room],
      [x + room, y - height / 2],
      [x - room - width, y - height / 2],
    ] as const;
    const free = places
      .map(([left, top]): Box => ({ left, top, width, height }))
      .find((box) => isWithin(box, within) && !taken.some((other) => overlap(box, other)));
    if (free) taken.push(free);
    return free;
  });
}
