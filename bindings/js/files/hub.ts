/** Repositories on a model hub that answers as huggingface.co does. */
import { ArgumentError, FormatError, UnsupportedError } from "../base/errors.js";
import { openUrl } from "./http.js";
import { maxRepositoryFiles, tooManyFiles, type RawRepository, type ReadOptions } from "./raw.js";
import { besideUrl, decoded, parseUrl, shownUrl } from "./url.js";

/** The most bytes of a list of files. */
const maxListBytes = 1 << 24;

/** `/<owner>/<name>`, also of a revision. */
const repositoryPath = /^\/([\w.-]+)\/([\w.-]+)(?:\/tree\/([^/]+))?\/?$/;

/** What the hub says of a repository. */
interface Listing {
  names: string[];
  /** The commit, which stays what it is. */
  commit: string;
}

/** Reads a hub's answer, of which nothing is trusted. */
function listingOf(text: string, what: string): Listing {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${what} is no JSON.`, { cause });
  }
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !/^[\da-f]{40,64}$/.test(sha) || !Array.isArray(siblings)) {
    throw new FormatError(`${what} is no list of a repository's files (sha, siblings).`);
  }
  if (siblings.length > maxRepositoryFiles) throw tooManyFiles(what);
  const names = siblings.map((it: unknown) => {
    const name = (it as { rfilename?: unknown } | null)?.rfilename;
    if (typeof name === "string") return name;
    throw new FormatError(`${what} lists a file without a name (rfilename).`);
  });
  return { names, commit: sha };
}

async function textOf(url: URL, waiting: ReadOptions, template?: Request): Promise<string> {
  const { main } = await openUrl(url, waiting, template);
  if (main.size > maxListBytes) {
    throw new UnsupportedError(
      `${shownUrl(url.href)} has ${main.size} bytes; a list of files may have ${maxListBytes}.`,
    );
  }
  return new TextDecoder().decode(await main.read(0, main.size));
}

/**
 * Lists the repository at an address, at one commit, which all its files are then read from. `template` is the user's own
 * request for it: its headers go to the hub with each request. Where the hub redirects to another
 * origin, fetch leaves out Authorization and Cookie there, but no others: it does not know them as secrets.
 */
export async function openHub(
  address: string,
  waiting: ReadOptions,
  template?: Request,
): Promise<RawRepository> {
  const url = parseUrl(address);
  const [, owner, name, revision = "main"] = repositoryPath.exec(url?.pathname ?? "") ?? [];
  if (!url || owner === undefined || name === undefined) {
    throw new ArgumentError(
      `${url ? shownUrl(url.href) : "The source"} is no repository's address, such as ` +
        "https://huggingface.co/<owner>/<name> or …/<name>/tree/<revision>.",
    );
  }
  const at = (path: string) => {
    const found = new URL(path, url.origin);
    // Whoever may read the list may read the files.
    [found.username, found.password] = [url.username, url.password];
    return found;
  };
  const api = at(`/api/models/${owner}/${name}/revision/${encodeURIComponent(decoded(revision))}`);
  const { names, commit } = listingOf(await textOf(api, waiting, template), shownUrl(api.href));
  const files = at(`/${owner}/${name}/resolve/${commit}/`);
  return { names, commit, open: (file) => openUrl(at(besideUrl(file, files)), waiting, template) };
}
