/** Keeps this page itself, so that what is kept opens without a network. */

/** Relative to the page, so that the page may be in any folder. */
const script = "service-worker.js";

/** A service worker that says nothing for so long has been ended, or has no network. */
const maxMilliseconds = 60_000;

/** Gives a value later. */
const after = <T>(milliseconds: number, value: T) =>
  new Promise<T>((resolve) => {
    setTimeout(resolve, milliseconds, value);
  });

/** Keeps the files of the page; tells whether it can be opened without a network now. Never rejects. */
export async function keepPage(): Promise<boolean> {
  try {
    // The development server's page is many files, which nobody lists.
    if (import.meta.env.DEV) return false;
    await navigator.serviceWorker.register(script);
    const ready = navigator.serviceWorker.ready;
    const { active } = await Promise.race([ready, after(maxMilliseconds, { active: null })]);
    if (!active) return false;
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise<boolean>((resolve) => {
      port1.onmessage = ({ data }: MessageEvent<boolean>) => {
        resolve(data);
      };
    });
    active.postMessage("keep", [port2]);
    return await Promise.race([answer, after(maxMilliseconds, false)]);
  } catch {
    // Pages without TLS and some private windows have no service workers.
    return false;
  }
}
