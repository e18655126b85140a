/** Addresses as text. */
/** `text` as an address, relative to `base` where that is given; undefined when it is none. */
export function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/** Gives the base of relative addresses: the page, or a worker's own file; undefined where neither is on a server. */
export function baseAddress(): string | undefined {
  const { document, location } = globalThis as { document?: Document; location?: Location };
  const base = document?.baseURI ?? location?.href;
  return base !== undefined && /^https?:/i.test(base) ? base : undefined;
}

/** Gives the address of a file of this name beside another address: on the same server, whatever the name is. */
export const besideUrl = (name: string, url: string | URL): string =>
  new URL(`./${name.split("/").map(encodeURIComponent).join("/")}`, url).href;

/** Gives `text` decoded; as it is where it is not encoded as addresses are. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The last part of an address's path, decoded where that is possible: a name in a folder, whatever it decodes to. */
export const nameOfUrl = (url: string): string =>
  decoded(new URL(url).pathname.split("/").at(-1)!).split(/[/\\]/).at(-1)!;

/** Gives an address for a message: without a password, or a query, which may hold a key. */
export function shownUrl(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return origin + pathname + (search && "?…");
}
