// The verdict on the packages of package-lock.json.

const severities = ["high", "critical"];

/**
 * What the output of `npm audit --json` says: `ok` is undefined where the packages were not looked at.
 * @param {string} json
 * @returns {{ ok: boolean | undefined, text: string }}
 */
export function verdictOf(json) {
  let found;
  try {
    found = JSON.parse(json);
  } catch {
    return { ok: false, text: `npm audit gave no JSON: ${json.slice(0, 200)}` };
  }
  const { vulnerabilities, metadata, message = found.error?.summary } = found;
  if (!vulnerabilities || !metadata) {
    return { ok: undefined, text: `no package was looked at: ${message || "npm gave no reason"}` };
  }
  const faulty = Object.values(vulnerabilities).filter((it) => severities.includes(it.severity));
  const names = faulty.map(({ name, severity }) => `${name} (${severity})`);
  const { total } = metadata.dependencies;
  const text = names.length > 0 ? names.join(", ") : `${total} packages, no fault of high severity`;
  return { ok: names.length === 0, text };
}
