/** Hands the output over: a download, a zip file, a folder. */
import { formatBytes, type Plan } from "modelshrink";
import { formatPercent } from "../base/format.js";
import type { Task } from "../base/jobs.js";
import { messageOf, showError, ui } from "../base/ui.js";
import type { Files } from "../open/files.js";
import { library } from "../work/client.js";
import { Output } from "./output.js";
import { canPickFolder, download, outputName, saveToFolder, saveZip, type Origin } from "./save.js";
import { showPacked } from "./size.js";

interface Delivery {
  output: Output;
  origin: Origin;
  label: string;
  /** Packs the files, once; it begins when it is first asked for. */
  packed: Task<Blob> | undefined;
}

/** Outputs of at most so many bytes are packed as soon as they are there, in memory. */
const packedAtOnce = 64_000_000;

const bytesOf = (files: Files): number =>
  Object.values(files).reduce((sum, { size }) => sum + size, 0);

let current: Delivery | undefined;

/** "a", "a and b", "a, b and 3 more". */
function listNames(names: readonly string[]): string {
  if (names.length <= 2) return names.join(" and ");
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

/** What a download will be. */
export function describeOutputs(origin: Origin, label: string, { files }: Plan): string {
  const name = outputName(origin, label, files.length);
  const packed = "Packed it is for lines and stores: unpack() gives every byte back.";
  if (files.length === 1) return `Out comes ${name}. ${packed}`;
  const where = canPickFolder() ? `${name}.zip or a folder` : `${name}.zip`;
  return `Out come ${listNames(files.map((file) => file.name))}, in ${where}. ${packed}`;
}

export const outputFiles = (): Files | undefined => current?.output.files;

export function clearDelivery(): void {
  current?.packed?.cancel();
  current?.packed?.release();
  current?.output.letGo();
  current = undefined;
  ui.download.hidden = true;
  ui.save.hidden = true;
  ui.pack.hidden = true;
}

/** Offers these files; `release` is called when nobody needs them any more. */
export function offerDelivery(
  origin: Origin,
  label: string,
  files: Files,
  release: () => void,
): void {
  current = { output: new Output(files, release), origin, label, packed: undefined };
  // Whoever asks for the packed file hears what went wrong.
  if (bytesOf(files) <= packedAtOnce) packedOf(current).catch(() => undefined);
  const isOne = Object.keys(files).length === 1;
  ui.download.textContent = isOne ? "Download" : "Download zip";
  ui.download.hidden = false;
  ui.save.hidden = isOne || !canPickFolder();
  ui.pack.hidden = false;
  ui.shrink.hidden = true;
  ui.download.focus();
}

/** Shows what happens to the output, as long as it is the current one. */
async function withStatus(during: string, work: (files: Files) => Promise<string>): Promise<void> {
  const before = current;
  ui.status.textContent = during;
  const after = await before?.output.during(work);
  if (current === before && after !== undefined) ui.status.textContent = after;
}

const nameOf = ({ output, origin, label }: Delivery): string =>
  outputName(origin, label, Object.keys(output.files).length);

async function downloadOutput(): Promise<void> {
  const from = current;
  if (!from) return;
  const blobs = Object.values(from.output.files);
  const [only] = blobs;
  const name = nameOf(from);
  if (blobs.length === 1 && only) {
    void from.output.during(() => download(only, name));
    return;
  }
  await withStatus("Making the zip file…", async (files) =>
    (await saveZip(files, `${name}.zip`)) ? `${name}.zip is made.` : "Nothing is saved.",
  );
}

async function saveOutput(): Promise<void> {
  if (!current) return;
  const name = nameOf(current);
  await withStatus("Saving…", async (files) =>
    (await saveToFolder(files, name))
      ? `${Object.keys(files).length} files are saved in ${name}.`
      : "Nothing is saved.",
  );
}

/** Packs what is offered, and shows its size. */
function packedOf(delivery: Delivery): Promise<Blob> {
  return delivery.output.during(async (files) => {
    delivery.packed ??= library.start("pack", {
      ...{ files, name: `${nameOf(delivery)}.mspk`, toDisk: bytesOf(files) > packedAtOnce },
    });
    const own = delivery.packed;
    try {
      const blob = await own.result;
      if (delivery === current) showPacked(blob.size, true);
      return blob;
    } catch (error) {
      if (delivery.packed === own) delivery.packed = undefined;
      throw error;
    }
  });
}

/** The same bytes in fewer. */
async function downloadPacked(): Promise<void> {
  const from = current;
  if (!from) return;
  const name = `${nameOf(from)}.mspk`;
  await withStatus("Packing…", async (files) => {
    const packed = await packedOf(from);
    void download(packed, name);
    const share = formatPercent(packed.size / bytesOf(files));
    return `${name}: ${formatBytes(packed.size)}, ${share} of the small model, losslessly. unpack() gives it back.`;
  });
}

/** Shows what went wrong with something that the visitor asked for. */
function attempt(what: string, work: () => Promise<void>): void {
  ui.error.hidden = true;
  work().catch((error: unknown) => {
    ui.status.textContent = "";
    showError(`${what}: ${messageOf(error)}`);
  });
}

export function listenForDelivery(): void {
  ui.download.addEventListener("click", () => {
    attempt("The download failed", downloadOutput);
  });
  ui.save.addEventListener("click", () => {
    attempt("Saving failed", saveOutput);
  });
  ui.pack.addEventListener("click", () => {
    attempt("Packing failed", downloadPacked);
  });
}
