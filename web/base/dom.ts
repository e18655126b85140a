/** Elements with their properties and contents. */

/** Makes an element; `properties` are those of its DOM object. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<Omit<HTMLElementTagNameMap[K], "style">> = {},
  ...contents: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...contents);
  return element;
}

/** Makes a button. */
export function button(label: string, onClick: () => void): HTMLButtonElement {
  const made = make("button", { type: "button" }, label);
  made.addEventListener("click", onClick);
  return made;
}

/** Makes a table with a head of these titles; on a narrow screen each cell has its title with it. */
export function table(
  caption: string,
  titles: readonly string[],
): { element: HTMLTableElement; show(rows: readonly (readonly (Node | string)[])[]): void } {
  const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
  const body = make("tbody");
  const element = make(
    "table",
    { className: "trial-table" },
    make("caption", { className: "visually-hidden" }, caption),
    make("thead", {}, head),
    body,
  );
  const rowOf = ([first = "", ...others]: readonly (Node | string)[]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, first),
      ...others.map((content, i) => {
        const cell = make("td", {}, content);
        cell.dataset["label"] = titles[i + 1] ?? "";
        return cell;
      }),
    );
  return {
    element,
    show(rows) {
      body.replaceChildren(...rows.map(rowOf));
    },
  };
}

/** A time as people read it. */
export const formatMilliseconds = (milliseconds: number): string =>
  milliseconds >= 1000
    ? `${(milliseconds / 1000).toFixed(1)} s`
    : `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;

/** Makes an element of a drawing with these attributes and contents. */
export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...contents: readonly (Node | string)[]
): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...contents);
  return element;
}
