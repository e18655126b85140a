/** Keeps this page itself, so that what is kept opens without a network. */

/** Relative to the page, so that the page may be in any folder. */
const script = "service-worker.js";

/** Keeps the files of the page; tells whether it can be opened without a network now. Never rejects. */
export async function keepPage(): Promise<boolean> {
  try {
    // The development server's page is many files, which nobody lists.
    if (import.meta.env.DEV) return false;
    await navigator.serviceWorker.register(script);
    const { active } = await navigator.serviceWorker.ready;
    if (!active) return false;
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise<boolean>((resolve) => {
      port1.onmessage = ({ data }: MessageEvent<boolean>) => {
        resolve(data);
      };
    });
    active.postMessage("keep", [port2]);
    return await answer;
  } catch {
    // Pages without TLS and some private windows have no service workers.
    return false;
  }
}
