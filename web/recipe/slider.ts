/** The slider over a format's recipes, from the largest result to the smallest. */
import { formatBytes } from "modelshrink";
import { make } from "../base/dom.js";
import { formatAbout, formatShare } from "../base/format.js";
import { ui } from "../base/ui.js";
import type { Verdict } from "../trial/verdict.js";
import type { Sized } from "../work/protocol.js";

let offered: readonly Sized[] = [];
let inputBytes = 1;

/** "int8, 2.89 MB, 27 %, packed ≈ 2.3 MB" */
const textOf = ({ name, outputBytes, packedBytes }: Sized): string => {
  const packed = packedBytes === undefined ? "" : `, packed ${formatAbout(packedBytes)}`;
  return `${name}, ${formatBytes(outputBytes)}, ${formatShare(outputBytes / inputBytes)}${packed}`;
};

/** The smallest that a recipe can be kept in, as far as that is known. */
const least = ({ outputBytes, packedBytes }: Sized): number => packedBytes ?? outputBytes;

/** The recipes that change something, the smallest result last. */
export const offeredOf = (known: Iterable<Sized>): Sized[] =>
  [...known].filter(({ refusal }) => refusal === undefined).sort((a, b) => least(b) - least(a));

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

/** Marks the recipes that were tried with what their trials have said. */
export function markVerdicts(verdicts: ReadonlyMap<string, Verdict>): void {
  for (const [i, tick] of [...ui.slideSizes.children].entries()) {
    const level = verdicts.get(offered[i]?.name ?? "")?.level ?? "none";
    (tick as HTMLElement).dataset["level"] = level;
  }
}

/** Waits for sizes: there is nothing to slide over yet. */
export function resetSlider(note: string): void {
  offered = [];
  ui.slide.ariaBusy = "true";
  ui.slider.hidden = true;
  ui.slideSizes.replaceChildren();
  ui.slideEnd.textContent = "";
  ui.slideNote.textContent = note;
}

const tickOf = ({ name, outputBytes, packedBytes }: Sized): HTMLElement => {
  const size = packedBytes === undefined ? formatBytes(outputBytes) : formatAbout(packedBytes);
  return make("li", {}, make("b", {}, name), size);
};

/** Offers these recipes; `isWhole` tells whether their packed sizes are foreseen, or never will be. */
export function showSlider(
  known: readonly Sized[],
  originalBytes: number,
  chosen: string,
  isWhole: boolean,
): void {
  offered = known;
  inputBytes = originalBytes;
  ui.slider.max = String(Math.max(0, known.length - 1));
  // One recipe leaves nothing to slide.
  ui.slider.hidden = known.length < 2;
  ui.slide.style.setProperty("--ticks", String(Math.max(1, known.length)));
  ui.slideSizes.replaceChildren(...(known.length < 2 ? [] : known.map(tickOf)));
  const arePacked = known.some(({ packedBytes }) => packedBytes !== undefined);
  ui.slideEnd.textContent =
    known.length < 2 ? "" : arePacked ? "sizes are of packed files · smallest →" : "smallest →";
  ui.slideNote.textContent = "";
  ui.slide.ariaBusy = String(!isWhole);
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
