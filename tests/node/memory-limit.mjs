/** The core's binary with another memory: what happens when there is not enough. */

const pageBytes = 65536;
const memorySection = 5;
const globalSection = 6;

function readVarint(bytes, at) {
  let value = 0;
  let shift = 0;
  let byte;
  do {
    byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    shift += 7;
  } while (byte & 128);
  return [value, at];
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** { begin, content, end } of a section of a module. */
function sectionOf(binary, id) {
  for (let begin = 8; begin < binary.length;) {
    const [size, content] = readVarint(binary, begin + 1);
    const end = content + size;
    if (binary[begin] === id) return { begin, content, end };
    begin = end;
  }
  throw new Error(`the module has no section ${id}`);
}

function initialPagesOf(binary) {
  return readVarint(binary, sectionOf(binary, memorySection).content + 2)[0];
}

function withPages(binary, initial, maximum) {
  const { begin, end } = sectionOf(binary, memorySection);
  const section = [1, 1, ...varint(initial), ...varint(maximum)];
  const head = [...binary.subarray(0, begin), memorySection, ...varint(section.length)];
  return Uint8Array.from([...head, ...section, ...binary.subarray(end)]);
}

/** The same module, whose memory may grow by no more than `extraBytes`. */
export function withMemoryLimit(binary, extraBytes) {
  const initial = initialPagesOf(binary);
  return withPages(binary, initial, initial + Math.ceil(extraBytes / pageBytes));
}

/**
 * The same module, whose memory is its data, its stack and `numPages` pages for all else. The stack
 * follows the data and grows down; its first pointer is the module's first global.
 */
export function withHeapOf(binary, numPages) {
  const { content } = sectionOf(binary, globalSection);
  const [, type] = readVarint(binary, content);
  const [i32, variable, i32Const] = binary.subarray(type, type + 3);
  if (i32 !== 0x7f || variable !== 1 || i32Const !== 0x41) throw new Error("no stack pointer");
  const [stackEnd] = readVarint(binary, type + 3);
  const pages = Math.ceil(stackEnd / pageBytes) + numPages;
  return withPages(binary, pages, pages);
}
