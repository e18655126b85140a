// A model of any format, shrunk in any way: one that the grammar makes of the bytes, or any bytes
// as OpenFormat finds them, with every file beside it that the reader asks for.
//
// Input: a byte that says which, and the main file's name; kNumChoices bytes for what is written;
// then the grammar's bytes, or two for the size of the other files and the main file.
#include <cstdint>
#include <string>

#include "grammar.h"
#include "output_folder.h"
#include "shrink_roundtrip.h"
#include "shrinking.h"

namespace modelshrink {
namespace {

// A host that has every file: a copy of the main one, or `size` bytes of small floats.
StatusOr<std::unique_ptr<Format>> ReadAnyFiles(const std::string& main, size_t size, Files* files) {
  const std::string& first = files->at(main);
  ASSIGN_OR_RETURN(auto format, OpenFormat({main, first.size()}, BytesOf(first.substr(0, 64))));
  std::vector<std::string> opened = {main};
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Request> request, format->Next());
    if (!request) return format;
    if (request->open.empty()) {
      const ByteRange& range = request->range;
      Require(range.size > 0 && range.size <= uint64_t{1} << 20 && range.file < opened.size());
      const std::string& file = files->at(opened[range.file]);
      Require(RangeFits(range.offset, range.size, file.size()));
      RETURN_IF_ERROR(format->Feed(BytesOf(file).subspan(static_cast<size_t>(range.offset),
                                                         static_cast<size_t>(range.size))));
      continue;
    }
    const std::string& name = request->open;
    Require(name.size() < size_t{1} << 20 && name.find('\\') == std::string::npos);
    Require(name[0] != '/' && ("/" + name + "/").find("/../") == std::string::npos);
    const bool is_new = files->find(name) == files->end();
    std::string& file = (*files)[name];
    if (is_new && size == 0) {
      file = first;
    } else if (is_new) {
      for (size_t i = 0; i < size; ++i) file += static_cast<char>(i % 4 == 3 ? 0x3c : i * 37);
    }
    opened.push_back(name);
    RETURN_IF_ERROR(format->Opened(file.size()));
  }
}

void CheckGrammar(Input choices, std::span<const uint8_t> bytes) {
  Input input(bytes);
  const GrammarModel model = TakeModel(&input);
  if (model.files.at(model.main).empty()) return;
  const auto format = ReadFiles(model.files, model.main);
  // All but a few rules are the grammar's, too.
  if (!format.ok()) return;
  const Seer see = SeerOf(model.files, model.main);
  CheckShrinking(*format.value(), model.files, model.main, choices, see);
}

void CheckAnyBytes(const std::string& main, Input choices, std::span<const uint8_t> bytes) {
  const uint8_t* const data = bytes.data();
  Files files = {{main, std::string(reinterpret_cast<const char*>(data) + 2, bytes.size() - 2)}};
  const auto format = ReadAnyFiles(main, data[0] + size_t{data[1]} * 64, &files);
  if (format.ok()) CheckShrinking(*format.value(), files, main, choices);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < kHeadBytes + 3) return 0;
  const std::span<const uint8_t> bytes(data, size);
  const Input choices(bytes.subspan(1, kNumChoices));
  const std::span<const uint8_t> rest = bytes.subspan(kHeadBytes);
  if (IsGrammars(data[0])) {
    CheckGrammar(choices, rest);
  } else {
    CheckAnyBytes(NameOfFile(data[0]), choices, rest);
  }
  return 0;
}
