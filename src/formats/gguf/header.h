// One GGUF file's header, read piece by piece. FORMAT.md has the rules.
#ifndef MODELSHRINK_FORMATS_GGUF_HEADER_H_
#define MODELSHRINK_FORMATS_GGUF_HEADER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "formats/gguf/types.h"
#include "formats/model.h"

namespace modelshrink::gguf {

// A half-open range of the file: [begin, end).
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// What is known of one file of a model.
struct Header {
  uint32_t version = 0;
  uint64_t num_keys = 0;
  // The records of all keys and values, and among them those that the writer makes anew
  // (general.file_type, general.quantization_version, split.*), in the order of the file.
  Extent keys;
  std::vector<Extent> replaced;
  uint64_t alignment = 32;
  uint64_t data_begin = 0;
  size_t first_tensor = 0;  // in Model::tensors
  size_t num_tensors = 0;
  std::string architecture, name;
  std::optional<uint64_t> file_type;
  uint64_t split_no = 0;
  uint64_t split_count = 0;  // 0: not split
  uint64_t split_tensors = 0;
};

// Reads one file's header; its tensors go to the end of `tensors`. Sans-IO like Format: wanted()
// until it is nullopt, Feed().
class HeaderReader {
 public:
  HeaderReader(uint64_t size_bytes, uint32_t file, std::vector<Tensor>* tensors)
      : size_bytes_(size_bytes), file_(file), tensors_(tensors) {
    header_.first_tensor = tensors->size();
  }

  // Goes on as far as the bytes reach.
  StatusOr<std::optional<ByteRange>> Next();
  Status Feed(std::span<const uint8_t> bytes);
  // Complete when Next() gave nullopt.
  const Header& header() const { return header_; }

 private:
  enum class State : uint8_t { kStart, kKey, kValue, kElements, kTensors, kDone };

  struct Array {
    ValueType type;
    uint64_t num_left;
  };
  struct KeyHash {
    uint64_t hash;
    uint64_t offset;
  };

  Status Step();
  Status ReadStart();
  Status ReadKey();
  Status ReadValue();
  Status ReadElement();
  Status ReadTensor();
  Status Finish();
  // Of a string or an array, from pos_ on; elements that are values of a fixed size are skipped.
  Status SkipString();
  Status OpenArray();
  Status TakeValue();
  Status TakeUnsigned(uint64_t* value);
  Status CheckKeys();
  void ReserveTensors();
  Status AddTensor(const uint8_t* record, std::string name, uint32_t rank);
  void EndValue();

  // `size` bytes at pos_, or nullptr: then the file is too short (is_truncated_), or they are not
  // there yet (num_wanted_).
  const uint8_t* Peek(uint64_t size);
  Status Truncated(const char* what) const;

  uint64_t size_bytes_;
  uint32_t file_;
  std::vector<Tensor>* tensors_;
  Header header_;
  State state_ = State::kStart;
  uint64_t pos_ = 0;
  uint64_t num_wanted_ = 0;  // bytes at pos_ that Peek() missed; 0: none
  bool is_truncated_ = false;
  uint64_t window_begin_ = 0;
  // What is asked for at once: more each time, so that a vocabulary takes few requests.
  uint64_t window_size_ = 65'536;
  std::vector<uint8_t> window_;

  uint64_t num_keys_left_ = 0;
  uint64_t num_tensors_left_ = 0;
  uint64_t next_offset_ = 0;  // of the next tensor in the data, before padding
  uint64_t key_begin_ = 0;
  std::string key_;
  ValueType value_type_ = ValueType::kUint8;
  std::vector<Array> arrays_;
  std::vector<KeyHash> key_hashes_;
};

}  // namespace modelshrink::gguf

#endif  // MODELSHRINK_FORMATS_GGUF_HEADER_H_
