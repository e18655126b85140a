/** What a platform may have; Node.js and workers lack some of it. */
export const platform = globalThis as {
  navigator?: { locks?: LockManager; storage?: Partial<StorageManager> };
};
