/** Shows the snippet, and copies it. */
import { visible } from "modelshrink/text";
import { ui } from "../base/ui.js";
import { snippetOf, type Subject } from "./snippet.js";

let subject: Subject | undefined;

function show(): void {
  ui.copyStatus.textContent = "";
  const code = ui.snippet.querySelector("code");
  if (!code || !subject) return;
  const lines = snippetOf(ui.snippetKind.value, subject).split("\n");
  code.textContent = lines.map((line) => visible(line)).join("\n");
}

export function showCode(shown: Subject): void {
  subject = shown;
  show();
}

export function listenForCode(): void {
  ui.snippetKind.addEventListener("change", show);
  ui.copy.addEventListener("click", () => {
    navigator.clipboard.writeText(ui.snippet.textContent).then(
      () => {
        ui.copyStatus.textContent = "Copied.";
      },
      () => {
        ui.copyStatus.textContent = "The browser does not allow it: select the code and copy it.";
      },
    );
  });
}
