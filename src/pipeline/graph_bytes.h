// What a file has besides weights: graphs, names, headers. What the pack makes of that is found by
// packing it, since nothing simpler tells.
#ifndef MODELSHRINK_PIPELINE_GRAPH_BYTES_H_
#define MODELSHRINK_PIPELINE_GRAPH_BYTES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"

namespace modelshrink {

// Use: Feed() what NextRead() asks for until it is nullopt, then PackedBytes().
class GraphBytes {
 public:
  // Takes the first bytes of the layout's literals and of what it copies, without the values of
  // tensors: as many as the pack mixes at once. `model` and `layout` are needed here alone.
  static StatusOr<GraphBytes> Create(const Model& model, const Layout& layout);

  // Bytes of the input files; nullopt: none are missing.
  std::optional<ByteRange> NextRead() const;
  Status Feed(std::span<const uint8_t> bytes);

  // All bytes of the output that are no values of tensors.
  uint64_t total() const { return total_; }
  // What the pack makes of them, as far as the first ones tell.
  StatusOr<double> PackedBytes();

 private:
  // Bytes [at, at + range.size) of bytes_ are to be read.
  struct Hole {
    ByteRange range;
    size_t at = 0;
  };

  // Appends bytes that are known, or a hole for those of `range`.
  void AddLiteral(std::span<const uint8_t> bytes);
  void AddCopy(ByteRange range, std::span<const ByteRange> values);
  void AddHole(const ByteRange& range);
  size_t Room() const { return bytes_.size() - size_; }

  Buffer<uint8_t> bytes_;
  size_t size_ = 0;
  std::vector<Hole> holes_;
  size_t next_ = 0;  // of holes_
  uint64_t total_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_GRAPH_BYTES_H_
