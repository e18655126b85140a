// Layers whose inputs are known: XᵀX, and the factor of its inverse with GPTQ's pass over 1024 outputs, in
// WebAssembly on one thread; beside them the same matrix work in NumPy, where that is installed, one thread too.
// Part of `npm run bench`; alone: node tests/bench/layers.mjs.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Gram, init, quantize } from "modelshrink";
import { median } from "../support/models.mjs";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";

const ROUNDS = 5;
const OUTPUTS = 1024;
const sizes = [1024, 4096];
const run = promisify(execFile);

/** The median of the seconds that some runs take. */
function secondsOf(work) {
  return median(
    Array.from({ length: ROUNDS }, () => {
      const start = performance.now();
      work();
      return (performance.now() - start) / 1000;
    }),
  );
}

function noise(count, seed) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/**
 * The same in float32 NumPy: XᵀX, and U of H⁻¹ = UᵀU, by Cholesky factor, inverse, factor. The pass over the
 * weights that follows has no counterpart there, so only the factor is compared.
 */
const script = `
import json, sys, time
import numpy as np
# The libraries that are loaded: Debian's NumPy takes any BLAS, and its build configuration does not name it.
with open("/proc/self/maps") as maps:
    if "openblas" not in maps.read().lower():
        sys.exit("NumPy has no OpenBLAS.")
def median(work):
    times = []
    for _ in range(${ROUNDS}):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
result = {}
for n in ${JSON.stringify(sizes)}:
    x = np.random.default_rng(1).standard_normal((2 * n, n), dtype=np.float32)
    h = x.T @ x
    h[np.diag_indices(n)] += 0.01 * h.diagonal().mean()
    result[n] = {
        "gram": median(lambda: x.T @ x),
        "factor": median(lambda: np.linalg.cholesky(np.linalg.inv(h))),
    }
print(json.dumps({"version": np.__version__, "seconds": result}))
`;

/** NumPy with OpenBLAS, or undefined: beside another BLAS a quotient would say nothing. */
async function numpy() {
  const env = {
    ...process.env,
    OPENBLAS_NUM_THREADS: "1",
    OMP_NUM_THREADS: "1",
    MKL_NUM_THREADS: "1",
  };
  // It slows OpenBLAS on some machines.
  delete env.OPENBLAS_CORETYPE;
  // Debian's, and what pip installs.
  for (const python of ["/usr/bin/python3", "python3"]) {
    try {
      const { stdout } = await run(python, ["-c", script], { env });
      return JSON.parse(stdout);
    } catch {
      // No Python, no NumPy, or no OpenBLAS.
    }
  }
  return undefined;
}

function measure(n) {
  const x = noise(2 * n * n, 1);
  const gramSeconds = secondsOf(() => new Gram(n).add(x));
  const gram = new Gram(n).add(x);
  // Fits to fewer rows than 32 a column are judged, and made several times for that.
  while (gram.rows <= 32 * n) gram.merge(gram.slice(0, n));
  const weights = noise(OUTPUTS * n, 2);
  const layer = { type: "int8", axis: 0, shape: [OUTPUTS, n], gram };
  // One output costs the factor and next to nothing else.
  const one = { ...layer, shape: [1, n] };
  const factorSeconds = secondsOf(() => quantize(weights.subarray(0, n), one));
  const passSeconds = secondsOf(() => quantize(weights, layer));
  return { gramSeconds, factorSeconds, passSeconds };
}

await init();
const peer = await numpy();
const rows = sizes.map((n) => {
  const { gramSeconds, factorSeconds, passSeconds } = measure(n);
  const theirs = peer?.seconds[n];
  const ratio = (own, other) => (other === undefined ? "–" : (own / other).toFixed(2));
  return [
    String(n),
    ((2 * 2 * n * n * n) / 1e9 / gramSeconds).toFixed(1),
    ratio(gramSeconds, theirs?.gram),
    factorSeconds.toFixed(3),
    ratio(factorSeconds, theirs?.factor),
    passSeconds.toFixed(3),
    { 1024: "0.15", 4096: "5" }[n],
  ];
});
const header = [
  "inputs",
  "XᵀX, GFLOPS of the full product",
  "time ÷ NumPy's",
  "H → U, s",
  "time ÷ NumPy's",
  "H → U and 1024 outputs, s",
  "goal",
];
const native = peer
  ? `, NumPy ${peer.version} with OpenBLAS, native, one thread`
  : "; there is no NumPy with OpenBLAS to compare with";
const markdown = `Measured on ${machineName()}${native}; medians of ${ROUNDS}.\n\n${markdownTable(header, rows)}`;
console.log(markdown);
await writeMeasured("bench-layers", markdown);
