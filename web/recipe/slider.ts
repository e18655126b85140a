/** The slider over a format's recipes, from the smallest result to the largest. */
import { formatBytes } from "modelshrink";
import { make } from "../base/dom.js";
import { formatShare } from "../base/format.js";
import { ui } from "../base/ui.js";
import type { Sized } from "../work/protocol.js";

let offered: readonly Sized[] = [];
let inputBytes = 1;

/** "int8, 2.9 MB, 27 %" */
const textOf = ({ name, outputBytes }: Sized): string =>
  `${name}, ${formatBytes(outputBytes)}, ${formatShare(outputBytes / inputBytes)}`;

/** The recipes that change something, the smallest result first. */
export const offeredOf = (known: Iterable<Sized>): Sized[] =>
  [...known]
    .filter(({ refusal }) => refusal === undefined)
    .sort((a, b) => a.outputBytes - b.outputBytes);

/** Moves the thumb to a recipe, if it is on the slider. */
export function moveTo(name: string): void {
  const index = offered.findIndex((it) => it.name === name);
  const found = offered[index];
  ui.slideName.textContent = name;
  for (const [i, tick] of [...ui.slideSizes.children].entries()) {
    tick.classList.toggle("chosen", i === index);
  }
  if (!found) return;
  ui.slider.value = String(index);
  ui.slider.setAttribute("aria-valuetext", textOf(found));
}

/** Waits for sizes: there is nothing to slide over yet. */
export function resetSlider(note: string): void {
  offered = [];
  ui.slide.ariaBusy = "true";
  ui.slider.hidden = true;
  ui.slideSizes.replaceChildren();
  ui.slideNote.textContent = note;
}

/** Offers these recipes. */
export function showSlider(known: readonly Sized[], originalBytes: number, chosen: string): void {
  offered = known;
  inputBytes = originalBytes;
  ui.slider.max = String(Math.max(0, known.length - 1));
  // One recipe leaves nothing to slide.
  ui.slider.hidden = known.length < 2;
  ui.slide.style.setProperty("--ticks", String(Math.max(1, known.length)));
  const ticks = known.map(({ name, outputBytes }) =>
    make("li", {}, make("b", {}, name), formatBytes(outputBytes)),
  );
  ui.slideSizes.replaceChildren(...(known.length < 2 ? [] : ticks));
  ui.slideNote.textContent = "";
  ui.slide.ariaBusy = "false";
  moveTo(chosen);
}

/** `onSlide` is called with the recipe under the thumb. */
export function listenForSlides(onSlide: (chosen: Sized) => void): void {
  const slideTo = (index: number) => {
    const found = offered[index];
    if (!found) return;
    moveTo(found.name);
    onSlide(found);
  };
  ui.slider.addEventListener("input", () => {
    slideTo(Number(ui.slider.value));
  });
  ui.slideSizes.addEventListener("click", ({ target }) => {
    const tick = target instanceof Element ? target.closest("li") : null;
    if (tick) slideTo([...ui.slideSizes.children].indexOf(tick));
  });
}
