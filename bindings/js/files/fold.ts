/** Gives names that some file system takes for one the same text: without case, composed. */
export const fold = (path: string): string =>
  path.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFC");
