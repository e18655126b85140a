/** Every way to open a model: a drop, files, a folder, an address, samples. */
import { make } from "../base/dom.js";
import { messageOf, showError, ui } from "../base/ui.js";
import type { Model } from "../work/protocol.js";
import { addressOf } from "./address.js";
import { chosenFiles, droppedFiles, type Files } from "./files.js";
import { samples, type Sample } from "./samples.js";

type OnOpen = (model: Model, sample?: Sample) => void;

/** The number of what the visitor last asked for: files that arrive for something older are too late. */
let intent = 0;

/** Whatever is still on its way to the page is too late from now on. */
export function forgetPending(): void {
  intent++;
}

/** Opens what `find` gives, unless the visitor has gone on to something else by then. */
function openFound(failure: string, find: () => Promise<Model>, open: (model: Model) => void) {
  const own = ++intent;
  ui.error.hidden = true;
  find().then(
    (model) => {
      if (own === intent) open(model);
    },
    (error: unknown) => {
      if (own === intent) showError(`${failure}: ${messageOf(error)}`);
    },
  );
}

async function sampleFiles({ name, url }: Sample): Promise<Files> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}.`);
  return { [name]: new File([await response.blob()], name) };
}

function offerSamples(onOpen: OnOpen): void {
  for (const sample of samples) {
    const button = make("button", { type: "button" }, sample.label);
    button.addEventListener("click", () => {
      openFound(
        "The sample could not be loaded",
        () => sampleFiles(sample),
        (files) => {
          onOpen(files, sample);
        },
      );
    });
    ui.samples.append(button);
  }
}

const unreadable = "The files cannot be read";

function listenForDrops(onOpen: OnOpen): void {
  const over = (isOver: boolean) => (event: DragEvent) => {
    event.preventDefault();
    ui.drop.classList.toggle("over", isOver);
  };
  // The whole page takes drops: a near miss must not make the browser leave it.
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    const { dataTransfer } = event;
    if (!dataTransfer) return;
    openFound(unreadable, () => droppedFiles(dataTransfer), onOpen);
  });
}

function listenForFiles(onOpen: OnOpen): void {
  for (const input of [ui.file, ui.folder]) {
    input.addEventListener("change", () => {
      const chosen = input.files;
      if (chosen?.length) {
        const files = () =>
          new Promise<Files>((resolve) => {
            resolve(chosenFiles(chosen));
          });
        openFound(unreadable, files, onOpen);
      }
      input.value = "";
    });
  }
  ui.chooseFolder.addEventListener("click", () => {
    ui.folder.click();
  });
}

function listenForAddresses(onOpen: OnOpen): void {
  ui.elsewhere.addEventListener("toggle", () => {
    if (ui.elsewhere.open) ui.address.focus();
  });
  ui.elsewhere.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    ui.elsewhere.open = false;
    ui.elsewhere.querySelector("summary")?.focus();
  });
  ui.addressForm.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = () =>
      new Promise<string>((resolve) => {
        resolve(addressOf(ui.address.value, location.href));
      });
    openFound("The address cannot be opened", address, (model) => {
      ui.elsewhere.open = false;
      onOpen(model);
    });
  });
}

/** Calls `onOpen` for each model that the visitor gives. */
export function listenForModels(onOpen: OnOpen): void {
  offerSamples(onOpen);
  listenForDrops(onOpen);
  listenForFiles(onOpen);
  listenForAddresses(onOpen);
}
