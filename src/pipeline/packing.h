// Packs the files of a model, losslessly, and unpacks them.
#ifndef MODELSHRINK_PIPELINE_PACKING_H_
#define MODELSHRINK_PIPELINE_PACKING_H_

#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "formats/model.h"
#include "pack/element.h"
#include "pack/unpacker.h"
#include "pipeline/step.h"

namespace modelshrink {

// A chunk of weights has about so many codes.
inline constexpr uint64_t kCodesPerChunk = 128 * 1024;

// Elements of one kind that lie in files, which count as one after the other.
struct Extent {
  uint64_t offset = 0;      // bytes
  uint64_t size = 0;        // bytes, of whole elements
  uint32_t row_length = 0;  // elements; 0 where there are no rows
  ElementKind kind = ElementKind::kBytes;
};

// Where each part of a model's tensors lies, in the order of its files; of parts that overlap the
// first.
std::vector<Extent> ExtentsOf(const Model& model);

// Gives the steps of packing files: kRead (input 0), kWrite (output file 0, from its beginning to
// its end) and kDone. What no extent covers is packed as bytes of which nothing is known. Its
// memory is some 60 MiB and that of the extents. An ArgumentError for no files, for names that
// UnpackRunner would refuse, and for extents that are not in the order of their offsets, overlap,
// lie outside the files or have parts of elements.
StatusOr<std::unique_ptr<StepRunner>> PackFiles(const std::vector<InputFile>& files,
                                                std::vector<Extent> extents);

// The same of a model.
StatusOr<std::unique_ptr<StepRunner>> PackModel(const Model& model);

// Gives the steps of unpacking: kRead (input 0, file 0: the packed file, which may be hostile),
// kWrite and kDone. `kTensor` comes once, before the first kWrite: from then on `files()` are
// known.
class UnpackRunner final : public StepRunner {
 public:
  // `packed_size`: bytes of the packed file; nullopt where they come from a stream, whose host then
  // looks for its end after kDone. `checks_digests`: see Unpacker.
  static StatusOr<std::unique_ptr<UnpackRunner>> Create(std::optional<uint64_t> packed_size,
                                                        bool checks_digests);
  // The steps read header and index; then those of the group that was started last, in any order
  // and in as many runners as are there.
  static StatusOr<std::unique_ptr<UnpackRunner>> CreateForGroups(uint64_t packed_size,
                                                                 bool checks_digests);

  StatusOr<Step> Next() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  // Their names are relative and lead nowhere else; no two are the same.
  const std::vector<PackedFile>& files() const { return unpacker_.files(); }

  // Of a runner for groups, after the first kDone: where each begins and ends in the packed file,
  // and how many bytes it gives.
  struct Group {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t size_bytes = 0;
  };
  std::vector<Group> Groups() const;
  // An ArgumentError before that, and for a group that does not exist.
  Status StartGroup(uint64_t group);

 private:
  UnpackRunner(std::optional<uint64_t> packed_size, Unpacker unpacker)
      : packed_size_(packed_size), unpacker_(std::move(unpacker)) {}
  StatusOr<Step> NextStep();
  // A write of what is left of the output, within one file.
  Step WriteNext();

  std::optional<uint64_t> packed_size_;
  Unpacker unpacker_;
  Status failure_;
  bool is_for_groups_ = false;
  bool has_index_ = false;
  bool has_files_ = false;
  size_t file_ = 0;  // that is written
  uint64_t file_offset_ = 0;
  size_t written_ = 0;  // bytes of the output
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_PACKING_H_
