// THIRD_PARTY_NOTICES: the licenses of the code that the package's binaries and glue are made with, from the copyright
// files of Debian's packages and the license files of the sources.
import { readFile } from "node:fs/promises";

const doc = (name) => `/usr/share/doc/${name}/copyright`;
const emscripten = doc("emscripten");

/**
 * The code that is in the package. `file` is a copyright file in Debian's format, of which the paragraph of `files` is
 * taken, with the texts of `licenses`; or the license file itself, where there is no `files`.
 */
const components = [
  {
    ...{ name: "Google Highway", source: "https://github.com/google/highway" },
    ...{ file: doc("libhwy-dev"), files: "*", licenses: ["Apache-2.0"] },
  },
  {
    ...{ name: "protozero", source: "https://github.com/mapbox/protozero" },
    ...{ file: doc("libprotozero-dev"), files: "*", licenses: ["BSD-2-Clause", "Apache-2.0"] },
  },
  {
    ...{ name: "RapidJSON", source: "https://github.com/Tencent/rapidjson" },
    ...{ file: doc("rapidjson-dev"), files: "*", licenses: ["Expat"] },
    // Debian's file knows the first author only.
    header: "/usr/include/rapidjson/rapidjson.h",
  },
  {
    name: "Emscripten (the JavaScript that loads the binaries, Embind, emmalloc)",
    source: "https://github.com/emscripten-core/emscripten",
    ...{ file: emscripten, files: "*", licenses: ["Expat"] },
  },
  {
    ...{ name: "musl", source: "https://musl.libc.org" },
    file: "/usr/share/emscripten/system/lib/libc/musl/COPYRIGHT",
  },
  {
    ...{ name: "hash-wasm", source: "https://github.com/Daninet/hash-wasm" },
    file: "node_modules/hash-wasm/LICENSE",
  },
  ...["libcxx", "libcxxabi", "compiler-rt"].map((folder) => ({
    name: { libcxx: "libc++", libcxxabi: "libc++abi" }[folder] ?? folder,
    source: "https://llvm.org",
    ...{ file: emscripten, files: `system/lib/${folder}/*` },
    licenses: ["Apache-2.0 with LLVM exception"],
  })),
];

/** The fields of a paragraph of Debian's format: the first line of each, and those that go on. */
function fieldsOf(paragraph) {
  const fields = {};
  let lines = [];
  for (const line of paragraph.split("\n")) {
    const [, name, first] = /^([A-Z][\w-]*):\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) fields[name] = lines = [first];
    else lines.push(line === " ." ? "" : line.replace(/^ /, ""));
  }
  return fields;
}

const wordsOf = (lines = []) => lines.map((it) => it.trim()).filter((it) => it !== "");

/** The text of a license: in the paragraph itself, or in one of its own. */
function licenseText(name, paragraph, paragraphs) {
  const isText = ({ License: [first, ...text] = [] }) => first === name && text.length > 0;
  const found = [paragraph, ...paragraphs].find(isText);
  if (!found) throw new Error(`There is no text of the license ${name}.`);
  // Where Debian has a text helps nobody elsewhere: the whole of it is at the end.
  const text = found.License.slice(1).join("\n").trimEnd();
  return text.replace(/\n*On Debian systems[\s\S]*$/, "");
}

async function noticeOf({ name, source, file, files, licenses, header }) {
  const text = (await readFile(file, "utf8")).trim();
  const title = [name, source].join("\n");
  if (files === undefined) return `${title}\n\n${text}`;
  const paragraphs = text.split(/\n\s*\n/).map(fieldsOf);
  const paragraph = paragraphs.find(({ Files }) => wordsOf(Files).includes(files));
  if (!paragraph) throw new Error(`${file} has no paragraph for ${files}.`);
  const owners = wordsOf(paragraph.Copyright);
  if (header !== undefined) {
    owners.push(...((await readFile(header, "utf8")).match(/Copyright \(C\) .*(?=\. All)/g) ?? []));
  }
  const texts = licenses.map((it) => licenseText(it, paragraph, paragraphs));
  return [title, `Copyright:\n${owners.map((it) => `  ${it}`).join("\n")}`]
    .concat(licenses.map((it, i) => `License: ${it}\n\n${texts[i]}`))
    .join("\n\n");
}

/** The text of the file. Throws where a package that builds modelshrink is not Debian's. */
export async function thirdPartyNotices() {
  const apache = await readFile("/usr/share/common-licenses/Apache-2.0", "utf8");
  const line = "-".repeat(80);
  const parts = [
    "The binaries of modelshrink (dist/wasm), the code that loads them (dist/core) and its bundles contain code of these\n" +
      "projects. Written by scripts/generate.mjs from their license files.",
  ];
  for (const component of components) parts.push(await noticeOf(component));
  parts.push(`The Apache License, Version 2.0\n\n${apache.trimEnd()}`);
  return `${parts.join(`\n\n${line}\n\n`)}\n`.replace(/[ \t]+$/gm, "");
}
