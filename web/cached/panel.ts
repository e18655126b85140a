/** What this browser keeps: shrunk models, which open without a network. They have a card, and what was just shrunk a button. */
import type { Recipe } from "modelshrink";
import { formatBytes } from "modelshrink";
import type { CachedEntry } from "modelshrink/cache";
import { visible } from "modelshrink/text";
import { button, make } from "../base/dom.js";
import { WorkerJobs } from "../base/jobs.js";
import { messageOf, ui } from "../base/ui.js";
import type { Files } from "../open/files.js";
import { samples } from "../open/samples.js";
import "./cached.css";
import { keepPage } from "./offline.js";
import type { Jobs, Loading } from "./protocol.js";

/** A model of this page that can be kept: it came from an address. */
export interface Keepable {
  url: URL;
  recipe: Recipe;
}

export interface Cached {
  /** Offers to keep a model that was just shrunk. */
  offer(model: Keepable): void;
  /** There is nothing to keep any more. */
  clear(): void;
}

/** The worker that has the cache. */
const startWorker = () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });

const nameOf = ({ url }: Keepable): string =>
  samples.find((it) => it.url.href === url.href)?.name ?? url.pathname.split("/").at(-1)!;

const fileName = ({ url, files }: CachedEntry): string =>
  samples.find((it) => it.url.href === url)?.name ?? files[0]?.name ?? url;

/** The bytes that an entry takes; with what it is unpacked, where that is more. */
function sizeText({ files, keptBytes }: CachedEntry): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const kept = formatBytes(keptBytes);
  return keptBytes < bytes ? `${kept}, packed from ${formatBytes(bytes)}` : kept;
}

/** A recipe in a few words: what it says beside its number type. */
function recipeText(recipe: string | Recipe): string {
  if (typeof recipe === "string") return recipe;
  const { weights, prune, ...others } = recipe;
  const rest = Object.entries(others).map(([name, value]) =>
    typeof value === "object" ? name : `${name} ${String(value)}`,
  );
  const type = typeof weights === "object" ? weights.type : weights;
  return [type, prune && "with zeros", ...rest].filter(Boolean).join(", ");
}

/** Pages without TLS have no storage that they could ask about. */
const { storage } = navigator as { storage?: StorageManager };

/** What the browser says of its storage; empty where it says nothing. */
async function storageText(): Promise<string> {
  const { usage, quota } = (await storage?.estimate()) ?? {};
  if (usage === undefined || quota === undefined) return "";
  return ` This page takes ${formatBytes(usage)} of the ${formatBytes(quota)} that the browser allows.`;
}

class Panel implements Cached {
  readonly #place: HTMLElement;
  readonly #onOpen: (files: Files) => void;
  readonly #jobs = new WorkerJobs<Jobs>(startWorker);
  readonly #status = make("p");
  readonly #total = make("p", { className: "subtitle" });
  readonly #list = make("ul", { className: "cached-list" });
  /** What the button is for: what is said of others is said in the card. */
  #model: Keepable | undefined;
  #entries: CachedEntry[] = [];
  /** The number of what the visitor last asked the card for: older answers show nothing. */
  #current = 0;
  /** The number of the last list that was asked for. */
  #listing = 0;

  constructor(place: HTMLElement, onOpen: (files: Files) => void) {
    this.#place = place;
    this.#onOpen = onOpen;
    ui.keep.addEventListener("click", () => {
      const model = this.#model;
      if (model)
        this.#attempt(`${nameOf(model)} cannot be kept`, () => this.#keepModel(model), model);
    });
    this.#status.setAttribute("role", "status");
    place.replaceChildren(
      make("h2", {}, "Kept in this browser"),
      this.#total,
      this.#list,
      this.#status,
    );
    this.#refresh();
  }

  offer(model: Keepable): void {
    this.clear();
    this.#model = model;
    ui.keep.disabled = false;
    ui.keep.hidden = false;
  }

  clear(): void {
    // What is under way goes on, and is in the card at its end.
    this.#model = undefined;
    ui.keep.hidden = true;
    ui.keepProgress.hidden = true;
    ui.keepStatus.textContent = "";
  }

  /** What is under way goes on, and says nothing more; gives the number of what begins. */
  #startAnew(): number {
    this.#status.textContent = "";
    return ++this.#current;
  }

  #showPlace(): void {
    this.#place.hidden = this.#entries.length === 0 && this.#status.textContent === "";
  }

  #refresh(): void {
    this.#attempt("What is kept cannot be listed", () => this.#showEntries());
  }

  async #showEntries(): Promise<void> {
    const own = ++this.#listing;
    const entries = await this.#jobs.start("list", undefined).result;
    const room = await storageText();
    if (own !== this.#listing) return;
    this.#entries = entries;
    const bytes = this.#entries.reduce((sum, it) => sum + it.keptBytes, 0);
    const count = this.#entries.length;
    const models = `${count} ${count === 1 ? "model" : "models"}`;
    this.#total.textContent =
      count === 0
        ? "Nothing any more."
        : `${models}, ${formatBytes(bytes)}; ${count === 1 ? "it opens" : "they open"} without a network.${room}`;
    this.#list.replaceChildren(...this.#entries.map((it) => this.#itemOf(it)));
    this.#showPlace();
  }

  #itemOf(entry: CachedEntry): HTMLElement {
    const name = visible(fileName(entry));
    const when = new Date(entry.keptAt).toLocaleString();
    const facts = [recipeText(entry.recipe), sizeText(entry), when].join(" · ");
    const open = button("Open", () => {
      this.#attempt(`${name} cannot be opened`, () => this.#open(entry));
    });
    const remove = button("Delete", () => {
      this.#attempt(`${name} cannot be deleted`, () => this.#delete(entry));
    });
    for (const it of [open, remove]) {
      it.setAttribute("aria-label", `${it.textContent} ${name}, ${recipeText(entry.recipe)}`);
    }
    const text = make("div", {}, make("strong", {}, name), make("small", {}, visible(facts)));
    const buttons = make("span", { className: "cached-buttons" }, open, remove);
    return make("li", {}, text, buttons);
  }

  async #open(entry: CachedEntry): Promise<void> {
    const { url, recipe } = entry;
    const own = this.#startAnew();
    this.#status.textContent = "Opening…";
    const files = await this.#jobs.start("load", { url, recipe }).result;
    if (own !== this.#current) return;
    this.#status.textContent = "";
    // A build gives samples' addresses other names; only the main file's is free.
    const named = Object.entries(files).map(([name, blob], i) => [
      i ? name : fileName(entry),
      blob,
    ]);
    this.#onOpen(Object.fromEntries(named) as Files);
  }

  async #delete(entry: CachedEntry): Promise<void> {
    const own = this.#startAnew();
    await this.#jobs.start("delete", { entry }).result;
    if (own === this.#current) {
      this.#status.textContent = `${visible(fileName(entry))} is deleted.`;
    }
    await this.#showEntries();
    // The button that had the focus is gone.
    this.#list.querySelector("button")?.focus();
  }

  async #load(model: Keepable): Promise<void> {
    const { url, recipe } = model;
    const onNews = ({ words, fraction }: Loading) => {
      if (model !== this.#model) return;
      ui.keepStatus.textContent = words;
      if (fraction !== undefined) ui.keepProgress.value = fraction;
    };
    await this.#jobs.start("load", { url: url.href, recipe }, onNews).result;
  }

  async #keepModel(model: Keepable): Promise<void> {
    // Meanwhile the visitor may turn to another model, whose button it is then.
    const isOffered = () => model === this.#model;
    ui.keep.disabled = true;
    ui.keepProgress.value = 0;
    ui.keepProgress.hidden = false;
    // Browsers that ask their user want a click for it.
    const persisted = (async () => storage?.persist())().catch(() => false);
    try {
      await this.#load(model);
      const isOffline = await keepPage();
      await persisted;
      if (isOffered()) {
        ui.keepStatus.textContent = isOffline
          ? "It is kept, and this page with it: both open without a network, from the end of this page."
          : "It is kept, at the end of this page.";
        // The focus would be gone with the button.
        if (document.activeElement === ui.keep) ui.download.focus();
        ui.keep.hidden = true;
      }
    } finally {
      if (isOffered()) {
        ui.keep.disabled = false;
        ui.keepProgress.hidden = true;
      }
    }
    await this.#showEntries();
  }

  /** Says what went wrong with something that the visitor asked for, however long ago; by the button while it is for `model`. */
  #attempt(what: string, work: () => Promise<void>, model?: Keepable): void {
    work().catch((error: unknown) => {
      const status = model && model === this.#model ? ui.keepStatus : this.#status;
      status.textContent = visible(`${what}: ${messageOf(error)}`);
      this.#showPlace();
    });
  }
}

/** Makes the card in its place; it is hidden while there is nothing to show. `onOpen` gets the files of what is opened. */
export const mountCached = (place: HTMLElement, onOpen: (files: Files) => void): Cached =>
  new Panel(place, onOpen);
