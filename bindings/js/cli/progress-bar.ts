import { formatBytes } from "../base/bytes.js";
import type { Progress } from "../base/meter.js";
import { visible } from "../base/visible.js";

const barWidth = 24;
const minMilliseconds = 80;

interface Terminal {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/** One line on a terminal that is drawn over itself; nothing where output is no terminal. */
export class ProgressBar {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  readonly update = ({ phase, done, total, tensor }: Progress): void => {
    const now = performance.now();
    if (!this.#terminal.isTTY || now - this.#drawn < minMilliseconds) return;
    this.#drawn = now;
    const part = total > 0 ? done / total : 1;
    const filled = Math.round(part * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    const percent = `${Math.floor(part * 100)} %`.padStart(5);
    const size = `${formatBytes(done)} of ${formatBytes(total)}`;
    const line = `${phase.padEnd(7)} ${bar} ${percent}  ${size}  ${visible(tensor ?? "")}`;
    this.#terminal.write(`\r\u001b[K${line.slice(0, (this.#terminal.columns ?? 80) - 1)}`);
  };

  clear(): void {
    if (this.#drawn > 0) this.#terminal.write("\r\u001b[K");
    this.#drawn = 0;
  }
}
