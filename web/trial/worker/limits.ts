/** How much a trial does. */

/** The number of random samples. */
export const maxSamples = 4;

/** No new sample begins after so many milliseconds. */
const patience = 15_000;

/** Tells whether a trial that began at this time has taken long enough. */
export const isTimeUp = (start: number): boolean => performance.now() - start > patience;
