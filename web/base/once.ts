/** Gives `make` that works once: later calls give what the first one made. What could not be made is tried again. */
export function once<Given extends readonly unknown[], T>(
  make: (...given: Given) => Promise<T>,
): (...given: Given) => Promise<T> {
  let made: Promise<T> | undefined;
  return (...given) => {
    if (made) return made;
    const own = make(...given);
    made = own;
    own.catch(() => {
      made = undefined;
    });
    return own;
  };
}
