// What is to be written: each output file as a list of segments with known sizes. Made from the
// headers alone, before any weight is read, so its size is the plan's promise.
#ifndef MODELSHRINK_FORMATS_LAYOUT_H_
#define MODELSHRINK_FORMATS_LAYOUT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/model.h"
#include "formats/reasons.h"
#include "prune/target.h"
#include "quantize/scheme.h"

namespace modelshrink {

// How quantized weights are written into a graph (ONNX; docs/recipes.md has measurements).
enum class Mode : uint8_t {
  kStorage,  // dequantized at load: any runtime, fp32 speed, saves download and storage
  kDynamic,  // integer matmul with activations quantized on the fly: fast on wasm, saves memory
  kLowmem,   // MatMulNBits / GatherBlockQuantized: 4 and 8 bits in memory
};

// Which weights of one tensor become zero, and what makes up for it. A row is an output of the
// layer (Tensor::axis), its columns are the inputs.
struct PruneSpec {
  enum class Method : uint8_t {
    kNone,
    // As the tensor streams by:
    kMagnitude,  // the smallest |w|
    kRandom,     // by `seed`
    kBelow,      // where |w| has fewer bits than `magnitude_bits` (kernels/select.h)
    kRuns,       // n:m along the inputs
    // With the moments of the layer's inputs, the whole tensor in memory:
    kWanda,
    kSparseGpt,
    kObc,
    // Whole channels, of the graph: WriteOptions::removed_channels.
    kChannels,
  };
  Method method = Method::kNone;
  Amount amount;  // kMagnitude, kRandom, kChannels; of the calibrated ones when m is 0
  uint32_t n = 0, m = 0;
  uint32_t magnitude_bits = 0;
  uint64_t seed = 0;
  // kChannels: p of the Lp norm that channels are ranked by; infinity: the largest.
  double norm = 2;
  // kChannels: so many stay as a multiple of this, rounded up, for kernels that work on several
  // channels at a time. 0 is 1.
  uint32_t multiple_of = 1;
  // With moments: how many of their rows come with them, in each group, to judge the fit by.
  uint32_t num_held_out = 0;

  // The rest needs moments, too. How many samples they are of:
  uint64_t num_samples = 0;
  double damping = 0.01;
  bool refit = false;      // survivors of any mask are fitted anew by least squares
  bool feedback = false;   // quantization errors are made up for (GPTQ; with kSparseGpt jointly)
  bool act_order = false;  // with `feedback`

  bool IsCalibrated() const {
    return (method >= Method::kWanda && method != Method::kChannels) || refit || feedback;
  }
  bool IsActive() const { return method != Method::kNone || IsCalibrated(); }
};

// What the user asks for one tensor. A writer may do less (and says so in the outcome's reasons),
// never more.
struct TensorSpec {
  bool keep = true;
  // A job's scheme is this one with what the format changes. The tensor tells the axis; the rule
  // and the order of the codes are the format's. Of a kept tensor only `non_finite` counts, and
  // only where it is pruned or stored without its zeros.
  Scheme scheme = {.granularity = Granularity::kAxis, .block_size = 32};
  Mode mode = Mode::kStorage;
  // Somebody named this tensor: ONNX and safetensors have it written even where it does not look
  // like a weight (MayBeForced).
  bool is_forced = false;
  // Of a kept tensor that is to be stored without its zeros: how many elements are not zero.
  std::optional<uint64_t> sparse_entries;
  // Writers need not know of it: pipeline/prune_layout.h. Holds for kept tensors, too.
  PruneSpec prune;
};

// The spec of each tensor of a model, in the model's order; what it is made of must outlive it.
// Most tensors share one, which a table has once.
class TensorSpecs {
 public:
  // A spec for each tensor.
  TensorSpecs(const std::vector<TensorSpec>& specs)  // NOLINT(google-explicit-constructor)
      : table_(specs), size_(specs.size()) {}
  // `which[i]` is the number of tensor i's spec in `table`, and below its size.
  TensorSpecs(std::span<const TensorSpec> table, std::span<const uint32_t> which)
      : table_(table), which_(which.data()), size_(which.size()) {}

  size_t size() const { return size_; }
  const TensorSpec& operator[](size_t tensor) const {
    return table_[which_ == nullptr ? tensor : which_[tensor]];
  }
  // All specs that some tensor has, in no order.
  std::span<const TensorSpec> table() const { return table_; }

 private:
  std::span<const TensorSpec> table_;
  const uint32_t* which_ = nullptr;  // null: the specs are in the order of the tensors
  size_t size_ = 0;
};

// A value of a graph that the file is to give as an output, too.
struct Tap {
  uint32_t graph = 0;  // as LayerInput::graph
  std::string value;   // by its name there
  DType type = DType::kFloat32;
};

// What is asked for the file as a whole.
struct WriteOptions {
  // Leaves out what no runtime needs: names of nodes, doc_strings, and the length of names of
  // values that are neither the model's inputs or outputs nor weights.
  bool strip = false;
  // By channel, as Layout::channels counts them: 1 where it goes. Empty where nobody has looked at
  // the weights yet (pipeline/survey.h): the last ones of each set go, and sizes are right.
  std::vector<uint8_t> removed_channels;
  // Further outputs of the model, "modelshrink_tap_0" and so on. One within a branch that is not
  // taken is an empty tensor. Not together with `strip` or kChannels, and only where the format has
  // graphs.
  std::vector<Tap> taps;
  // The name of the main output file; empty: as the input's. Further files that carry the main
  // one's name in theirs (shards, external data) follow it.
  std::string main_name;
};

// By axis: the indices that stay, in ascending order; none: all of the axis. Empty: all of all
// axes.
using KeptIndices = std::vector<std::vector<uint32_t>>;

// What is pruned of a job. It takes a pointer's room where that is nothing, as of most jobs: a
// layout may have a million of them.
class JobPruning {
 public:
  JobPruning() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a spec is what is pruned.
  JobPruning(const PruneSpec& spec) : spec_(std::make_shared<const PruneSpec>(spec)) {}

  const PruneSpec& operator*() const { return spec_ == nullptr ? kNothing : *spec_; }
  const PruneSpec* operator->() const { return &**this; }

 private:
  static constexpr PruneSpec kNothing = {};
  std::shared_ptr<const PruneSpec> spec_;
};

// One tensor to quantize.
struct Job {
  size_t tensor = 0;  // index in Model::tensors; its parts[kCodes] and scheme.type say what to read
  Shape shape;        // as the scheme sees it (a writer may flatten or merge axes)
  Scheme scheme;
  JobPruning prune;
  KeptIndices kept;  // of the stored tensor's axes; `shape` is what they leave
};

// Channels that can leave a model: each is an index, or several, of axes of several tensors, which
// go together.
struct ChannelPlan {
  static constexpr uint32_t kNone = UINT32_MAX;
  // Channels that are in the same axes, so that it does not matter for any size which of them go.
  struct Set {
    uint32_t first = 0, count = 0, num_removed = 0;
    double norm = 2;
  };
  // The weights that compute channels.
  struct Scored {
    size_t tensor = 0;
    uint32_t axis = 0;
    std::vector<uint32_t> channels;  // by index of the axis; kNone: it stays
  };
  bool has_graph = false;  // otherwise nothing tells which channels belong together
  std::vector<Set> sets;   // in the order of their channels
  std::vector<Scored> scored;
  uint32_t NumChannels() const { return sets.empty() ? 0 : sets.back().first + sets.back().count; }
};

// A float64 as JSON text: at most this many characters, padded with spaces.
inline constexpr uint64_t kNumberChars = 24;

struct Segment {
  enum class Kind : uint8_t {
    kLiteral,
    kCopy,
    kPart,
    kNumber,  // a part that is one float64, as kNumberChars of JSON text
  };
  // In an order without gaps: a layout may have millions.
  Kind kind = Kind::kLiteral;
  uint32_t source_file = 0;  // kCopy: in Model::files
  uint64_t size = 0;
  uint64_t source_offset = 0;  // kLiteral: in Layout::literals; kCopy: in the input file
  size_t job = 0;              // kPart, kNumber
  Part part = Part::kCodes;    // kPart, kNumber
};

struct OutputFile {
  std::string name;               // as InputFile::name
  std::vector<Segment> segments;  // the file is their concatenation
  uint64_t size_bytes = 0;
};

// What became of each tensor of the model.
struct Outcome {
  std::string to;             // "int8", "uint4 block 32", "float32" when kept, …
  uint64_t output_bytes = 0;  // with the nodes and tensors that it needs
  Reasons reasons = {};       // why it was kept, or done otherwise than asked

  std::string note() const { return NoteOf(reasons); }
};

struct Layout {
  std::vector<OutputFile> files;  // the main file comes first; names are unique
  std::vector<uint8_t> literals;
  std::vector<Job> jobs;          // each has all its parts in the files' segments, once
  std::vector<Outcome> outcomes;  // one for each tensor of the model
  ChannelPlan channels;
  uint64_t size_bytes = 0;  // of all files; more than the input only where types were widened
};

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_LAYOUT_H_
