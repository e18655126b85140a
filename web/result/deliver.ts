/** Hands the output over: a download, a zip file, a folder. */
import { formatBytes, type Plan } from "modelshrink";
import { formatPercent } from "../base/format.js";
import { messageOf, showError, ui } from "../base/ui.js";
import type { Files } from "../open/files.js";
import { Output } from "./output.js";
import { canPickFolder, download, outputName, saveToFolder, saveZip, type Origin } from "./save.js";

interface Delivery {
  output: Output;
  origin: Origin;
  label: string;
}

let current: Delivery | undefined;

/** "a", "a and b", "a, b and 3 more". */
function listNames(names: readonly string[]): string {
  if (names.length <= 2) return names.join(" and ");
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

/** What a download will be. */
export function describeOutputs(origin: Origin, label: string, { files }: Plan): string {
  const name = outputName(origin, label, files.length);
  if (files.length === 1) return `Out comes ${name}.`;
  const where = canPickFolder() ? `${name}.zip or a folder` : `${name}.zip`;
  return `Out come ${listNames(files.map((file) => file.name))}, in ${where}.`;
}

export const outputFiles = (): Files | undefined => current?.output.files;

export function clearDelivery(): void {
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
  current = { output: new Output(files, release), origin, label };
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

/** The same bytes in fewer: who wants them takes the code for that, too. */
async function downloadPacked(): Promise<void> {
  if (!current) return;
  const name = `${nameOf(current)}.mspk`;
  await withStatus("Packing…", async (files) => {
    const { pack } = await import("modelshrink/pack");
    const { files: packed, report } = await pack(files);
    const [blob] = Object.values(packed);
    void download(blob!, name);
    const { inputBytes, outputBytes } = report;
    const share = formatPercent(outputBytes / inputBytes);
    return `${name}: ${formatBytes(outputBytes)}, ${share} of the small model, losslessly. unpack() gives it back.`;
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
