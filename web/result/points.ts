/** The points of the chart as buttons: each says which recipes it stands for, also where points lie on each other. */
import { formatBytes } from "modelshrink";
import { button, make } from "../base/dom.js";
import { formatSqnr } from "../base/format.js";
import type { Measured } from "../work/protocol.js";

/** A recipe with the place of its point, in pixels of the page from the chart's upper left corner. */
export interface Placed extends Measured {
  x: number;
  y: number;
}

/** Points that are nearer to each other, in pixels, cannot be told apart by a pointer. */
const nearness = 12;

const textOf = ({ name, outputBytes, sqnr }: Measured): string =>
  `${name}: ${formatBytes(outputBytes)}, ${formatSqnr(sqnr)}`;

/** Gives a group of buttons; `onChoose` gets the name of the recipe whose point is pressed. */
export function pointButtons(
  points: readonly Placed[],
  width: number,
  onChoose: (name: string) => void,
): HTMLElement {
  const tip = make("div", { className: "chart-tip", hidden: true });
  const show = (point: Placed) => {
    const near = points.filter(({ x, y }) => Math.hypot(x - point.x, y - point.y) < nearness);
    // Its own first: that is the one that is chosen by a press.
    const others = near.filter((it) => it !== point);
    tip.replaceChildren(...[point, ...others].map((it) => make("div", {}, textOf(it))));
    tip.hidden = false;
    tip.style.top = `${point.y}px`;
    const isRight = point.x > width / 2;
    tip.style.left = isRight ? "auto" : `${point.x + nearness}px`;
    tip.style.right = isRight ? `${width - point.x + nearness}px` : "auto";
  };
  const hide = () => {
    tip.hidden = true;
  };
  const buttons = points.map((point) => {
    const made = button("", () => {
      onChoose(point.name);
    });
    made.className = "chart-point";
    made.ariaLabel = textOf(point);
    made.style.left = `${point.x}px`;
    made.style.top = `${point.y}px`;
    for (const type of ["pointerenter", "focus"]) {
      made.addEventListener(type, () => {
        show(point);
      });
    }
    for (const type of ["pointerleave", "blur"]) made.addEventListener(type, hide);
    return made;
  });
  const group = make("div", { className: "chart-points" }, ...buttons, tip);
  group.role = "group";
  group.ariaLabel = "Recipes in the chart";
  return group;
}
