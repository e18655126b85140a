// The pipeline with a made-up format: one file of raw tensors, layouts written by hand.
#include "pipeline/shrink.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/compare.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

class FakeFormat final : public Format {
 public:
  StatusOr<std::optional<Request>> Next() override { return std::optional<Request>(); }
  Status Opened(std::optional<uint64_t>) override { return {}; }
  Status Feed(std::span<const uint8_t>) override { return {}; }
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs&, const WriteOptions&) const override { return layout; }

  // Appends a float32 tensor to the file.
  void Add(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    Tensor tensor = {.name = name, .shape = shape};
    tensor.parts[0] = {file.size(), values.size() * sizeof(float)};
    tensor.stored_bytes = tensor.parts[0].size;
    file.resize(file.size() + tensor.parts[0].size);
    std::memcpy(file.data() + tensor.parts[0].offset, values.data(), tensor.parts[0].size);
    model_.tensors.push_back(std::move(tensor));
    model_.size_bytes = file.size();
    model_.files = {{"model", file.size()}};
    layout.outcomes.push_back({.to = "float32"});
  }

  // Replaces the tensor by a float16 of the same values, between a literal and a copy.
  void PlanFloat16(size_t tensor) {
    const Tensor& source = model_.tensors[tensor];
    layout.literals = {1, 2, 3};
    layout.jobs = {{.tensor = tensor, .shape = source.shape, .scheme = {.type = DType::kFloat16}}};
    layout.files = {{.name = "small"}};
    layout.files[0].segments = {{.kind = Segment::Kind::kLiteral, .size = 3},
                                {.kind = Segment::Kind::kPart, .size = source.parts[0].size / 2},
                                {.kind = Segment::Kind::kCopy, .size = 4}};
    layout.size_bytes = layout.files[0].size_bytes = 3 + source.parts[0].size / 2 + 4;
  }

  Layout layout;
  Bytes file;
  Model model_;
};

std::shared_ptr<const Layout> Shared(Layout layout) {
  return std::make_shared<const Layout>(std::move(layout));
}

struct RunLog {
  Status status;
  Bytes output;
  std::vector<int> written;  // how often each byte was
  size_t num_reads = 0, num_writes = 0;
  uint64_t max_read = 0;
  std::vector<size_t> tensors;
};

void Put(std::span<const uint8_t> bytes, uint64_t offset, RunLog* run) {
  ASSERT_LE(offset + bytes.size(), run->output.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    run->output[offset + i] = bytes[i];
    ++run->written[offset + i];
  }
}

std::span<const uint8_t> At(const Bytes& file, ByteRange range) {
  return std::span<const uint8_t>(file).subspan(range.offset, range.size);
}

// Until kDone or the first error. `files`: input files by number.
template <typename Steps>
void Continue(Steps* steps, const std::vector<const Bytes*>& files, RunLog* run) {
  while (run->status.ok()) {
    auto step = steps->Next();
    run->status = step.status();
    if (!step.ok()) return;
    const Step& s = step.value();
    if (s.kind == Step::Kind::kDone) return;
    if (s.kind == Step::Kind::kCopy) Put(At(*files[0], s.range), s.output_offset, run);
    if (s.kind == Step::Kind::kWrite) Put(s.bytes, s.output_offset, run);
    run->num_writes += s.kind == Step::Kind::kWrite;
    if (s.kind == Step::Kind::kTensor) run->tensors.push_back(s.tensor);
    if (s.kind != Step::Kind::kRead) continue;
    ++run->num_reads;
    run->max_read = std::max(run->max_read, s.range.size);
    run->status = steps->Feed(At(*files[s.input], s.range));
  }
}

// Runs all units, or those of `order`, to the first error.
RunLog Execute(Shrinker* shrinker, const FakeFormat& format, std::vector<size_t> order = {}) {
  RunLog run;
  run.output.resize(format.layout.size_bytes);
  run.written.resize(format.layout.size_bytes);
  for (size_t i = 0; order.size() < shrinker->units().size(); ++i) order.push_back(i);
  for (const size_t unit : order) {
    if (run.status.ok()) run.status = shrinker->Start(unit);
    if (run.status.ok()) Continue(shrinker, {&format.file}, &run);
  }
  return run;
}

RunLog Execute(Comparer* comparer, const std::vector<const Bytes*>& files) {
  RunLog run;
  Continue(comparer, files, &run);
  return run;
}

std::vector<float> Ramp(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i % 2048);
  return values;
}

TEST(ShrinkerTest, WritesEveryByteOnce) {
  FakeFormat format;
  format.Add("a", {2}, {5, 6});
  format.Add("w", {4}, {1, -2, 0, 65504});
  format.PlanFloat16(1);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  const Bytes expected = {1,    2,    3,                                   // the literal
                          0x00, 0x3C, 0x00, 0xC0, 0x00, 0x00, 0xFF, 0x7B,  // float16
                          0x00, 0x00, 0xA0, 0x40};                         // the copy: 5.0f
  EXPECT_EQ(run.output, expected);
  EXPECT_EQ(run.written, std::vector<int>(expected.size(), 1));
  EXPECT_EQ(run.tensors, std::vector<size_t>{1});
  EXPECT_FALSE(shrinker.value()->tensor(0).sqnr_db.has_value());
  EXPECT_TRUE(shrinker.value()->tensor(1).sqnr_db.has_value());
  EXPECT_EQ(shrinker.value()->tensor(1).max_abs_error, 0);
}

TEST(ShrinkerTest, UnitsRunInAnyOrder) {
  FakeFormat format;
  format.Add("a", {2}, {5, 6});
  format.Add("w", {4}, {1, -2, 0, 65504});
  format.PlanFloat16(1);
  auto forwards = Shrinker::Create(format, Shared(format.layout));
  auto backwards = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(forwards.ok() && backwards.ok());
  ASSERT_EQ(forwards.value()->units().size(), 3u);
  EXPECT_EQ(forwards.value()->units()[0].output_bytes, 3u);
  ASSERT_EQ(forwards.value()->units()[1].tensors.size(), 1u);
  EXPECT_EQ(forwards.value()->units()[1].tensors[0], 1u);
  EXPECT_EQ(forwards.value()->units()[2].output_bytes, 4u);
  const RunLog expected = Execute(forwards.value().get(), format);
  const RunLog run = Execute(backwards.value().get(), format, {2, 1, 0});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.output, expected.output);
  EXPECT_EQ(run.written, std::vector<int>(run.output.size(), 1));
}

TEST(ShrinkerTest, AUnitMayBeStartedAgain) {
  FakeFormat format;
  format.Add("w", {4}, {1, 2, 3, 4});
  format.PlanFloat16(0);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok());
  ASSERT_TRUE(shrinker.value()->Start(1).ok());
  ASSERT_EQ(shrinker.value()->Next().value().kind, Step::Kind::kRead);
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.written, std::vector<int>(run.output.size(), 1));
  EXPECT_EQ(shrinker.value()->Start(3).code(), StatusCode::kArgument);
}

TEST(ShrinkerTest, LongCopiesAreSeveralUnits) {
  FakeFormat format;
  const uint64_t size = (uint64_t{600} << 20) + 1;
  format.model_.files = {{"model", size}};
  format.model_.size_bytes = size;
  format.layout.literals = {7};
  format.layout.files = {{.name = "small", .size_bytes = size + 2}};
  format.layout.files[0].segments = {
      {.size = 1}, {.kind = Segment::Kind::kCopy, .size = size}, {.size = 1}};
  format.layout.size_bytes = size + 2;
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  uint64_t total = 0;
  for (size_t i = 0; i < shrinker.value()->units().size(); ++i) {
    ASSERT_TRUE(shrinker.value()->Start(i).ok());
    uint64_t in_unit = 0;
    for (;;) {
      const Step step = shrinker.value()->Next().value();
      if (step.kind == Step::Kind::kDone) break;
      EXPECT_EQ(step.output_offset, total + in_unit);
      in_unit += step.kind == Step::Kind::kCopy ? step.range.size : step.bytes.size();
      if (step.kind == Step::Kind::kCopy) {
        EXPECT_EQ(step.range.offset + 1, step.output_offset);
      }
    }
    EXPECT_EQ(in_unit, shrinker.value()->units()[i].output_bytes);
    EXPECT_LE(in_unit, uint64_t{256} << 20);
    total += in_unit;
  }
  EXPECT_EQ(total, size + 2);
}

// As a graph has them that loses its names: between two changes lies what is copied.
TEST(ShrinkerTest, ManySmallSegmentsTakeAFewSteps) {
  FakeFormat format;
  format.Add("a", {50000}, Ramp(50000));
  Layout& layout = format.layout;
  layout.files = {{.name = "small"}};
  Bytes expected;
  for (uint64_t i = 0; i < 60000; ++i) {
    layout.literals.push_back(static_cast<uint8_t>(i % 251));
    layout.files[0].segments.push_back({.size = 1, .source_offset = i});
    layout.files[0].segments.push_back(
        {.kind = Segment::Kind::kCopy, .size = 2, .source_offset = 3 * i + 1});
    expected.insert(expected.end(),
                    {layout.literals[i], format.file[3 * i + 1], format.file[3 * i + 2]});
  }
  layout.files[0].size_bytes = layout.size_bytes = expected.size();
  auto shrinker = Shrinker::Create(format, Shared(layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.output, expected);
  EXPECT_EQ(run.written, std::vector<int>(expected.size(), 1));
  EXPECT_LE(run.num_reads, 2u);
  EXPECT_LE(run.num_writes, 2u);
}

constexpr size_t kNumSmall = 3000;

// Tensors of 4 elements that become float16, in another order than that of the file: their codes,
// each behind a literal and before a copy of one byte, and behind all of them the scales of every
// other one, which becomes int8.
FakeFormat ManySmallJobs() {
  FakeFormat format;
  Layout& layout = format.layout;
  layout.files = {{.name = "small"}};
  std::vector<Segment>& segments = layout.files[0].segments;
  for (size_t i = 0; i < kNumSmall; ++i) {
    const auto value = static_cast<float>(i);
    format.Add("w" + std::to_string(i), {4}, {value, -value, 1, 2});
  }
  for (size_t i = 0; i < kNumSmall; ++i) {
    const size_t tensor = i * 7 % kNumSmall;
    const bool is_int8 = i % 2 != 0;
    layout.jobs.push_back({.tensor = tensor,
                           .shape = {4},
                           .scheme = {.type = is_int8 ? DType::kInt8 : DType::kFloat16}});
    layout.literals.push_back(static_cast<uint8_t>(i));
    segments.push_back({.size = 1, .source_offset = i});
    segments.push_back({.kind = Segment::Kind::kPart, .size = is_int8 ? 4u : 8u, .job = i});
    segments.push_back({.kind = Segment::Kind::kCopy, .size = 1, .source_offset = 16 * i + 3});
  }
  for (size_t i = 1; i < kNumSmall; i += 2) {
    segments.push_back({.kind = Segment::Kind::kPart, .size = 4, .job = i, .part = Part::kScales});
  }
  for (const Segment& segment : segments) layout.files[0].size_bytes += segment.size;
  layout.size_bytes = layout.files[0].size_bytes;
  return format;
}

// What each job writes, one job at a time.
Bytes WrittenAlone(const FakeFormat& format) {
  RunLog all;
  all.output.resize(format.layout.size_bytes);
  all.written.resize(format.layout.size_bytes);
  const auto places = CheckLayout(format.model_, format.layout).value();
  JobRun job_run;
  for (size_t i = 0; i < places.size(); ++i) {
    const Job& job = format.layout.jobs[i];
    all.status = job_run.Start(format.model_.tensors[job.tensor], job, places[i]);
    while (all.status.ok()) {
      const Step step = job_run.Next().value();
      if (step.kind == Step::Kind::kTensor) break;
      if (step.kind == Step::Kind::kWrite) Put(step.bytes, step.output_offset, &all);
      if (step.kind == Step::Kind::kRead) {
        all.status = job_run.Feed(At(format.file, step.range));
      }
    }
  }
  uint64_t offset = 0;
  for (const Segment& segment : format.layout.files[0].segments) {
    if (segment.kind == Segment::Kind::kLiteral) {
      Put(std::span<const uint8_t>(format.layout.literals).subspan(segment.source_offset, 1),
          offset, &all);
    } else if (segment.kind == Segment::Kind::kCopy) {
      Put(At(format.file, {segment.source_offset, 1}), offset, &all);
    }
    offset += segment.size;
  }
  return all.output;
}

TEST(ShrinkerTest, ManySmallJobsTakeAFewSteps) {
  const FakeFormat format = ManySmallJobs();
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  const size_t num_units = shrinker.value()->units().size();
  EXPECT_LE(num_units, 1000u);
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.output, WrittenAlone(format));
  EXPECT_EQ(run.written, std::vector<int>(run.output.size(), 1));
  EXPECT_LE(run.num_reads, 2 * num_units);
  EXPECT_LE(run.num_writes, 2 * num_units);
  EXPECT_LE(run.max_read, uint64_t{1} << 20);
}

TEST(ShrinkerTest, AUnitOfManyJobsTellsOfEachOfItsTensors) {
  const FakeFormat format = ManySmallJobs();
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  std::vector<int> counts(kNumSmall);
  std::vector<size_t> order;
  for (size_t i = shrinker.value()->units().size(); i-- > 0;) {
    const Unit& unit = shrinker.value()->units()[i];
    RunLog run;
    run.output.resize(format.layout.size_bytes);
    run.written.resize(format.layout.size_bytes);
    ASSERT_TRUE(shrinker.value()->Start(i).ok());
    Continue(shrinker.value().get(), {&format.file}, &run);
    ASSERT_TRUE(run.status.ok()) << run.status.message();
    uint64_t written = 0;
    for (const int count : run.written) written += static_cast<uint64_t>(count);
    EXPECT_EQ(written, unit.output_bytes);
    for (const size_t tensor : unit.tensors) {
      ++counts[tensor];
      EXPECT_TRUE(shrinker.value()->tensor(tensor).sqnr_db.has_value());
    }
  }
  EXPECT_EQ(counts, std::vector<int>(kNumSmall, 1));
}

TEST(ShrinkerTest, AFailureAmongManyJobsNamesItsTensor) {
  FakeFormat format = ManySmallJobs();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(format.file.data() + 16 * 7 + 4, &nan, sizeof(nan));
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  const RunLog run = Execute(shrinker.value().get(), format);
  EXPECT_EQ(run.status.code(), StatusCode::kArgument);
  EXPECT_EQ(run.status.tensor(), "w7");
  EXPECT_EQ(run.status.offset(), 16 * 7 + 4);
  // The next unit starts anew.
  ASSERT_TRUE(shrinker.value()->Start(shrinker.value()->units().size() - 1).ok());
  EXPECT_TRUE(shrinker.value()->Next().ok());
}

TEST(ShrinkerTest, AUnitOfManyJobsMayBeStartedAgain) {
  const FakeFormat format = ManySmallJobs();
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  ASSERT_TRUE(shrinker.value()->Start(1).ok());
  const auto step = shrinker.value()->Next();
  ASSERT_EQ(step.value().kind, Step::Kind::kRead);
  EXPECT_EQ(shrinker.value()->Feed({}).code(), StatusCode::kArgument);
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.written, std::vector<int>(run.output.size(), 1));
}

// What a gathered read would span is bounded, and one file is read at a time, front to end.
TEST(ShrinkerTest, CopiesFarApartOrOutOfOrderAreNotReadTogether) {
  FakeFormat format;
  const size_t num_values = size_t{1} << 20;
  format.Add("a", {num_values}, Ramp(num_values));
  Layout& layout = format.layout;
  layout.files = {{.name = "small"}};
  layout.literals = {1, 2, 3};
  Bytes expected;
  uint64_t literal = 0;
  for (const uint64_t offset : {uint64_t{2} << 20, uint64_t{0}, uint64_t{4}, uint64_t{3} << 20}) {
    if (literal < 3) {
      layout.files[0].segments.push_back({.size = 1, .source_offset = literal});
      expected.push_back(layout.literals[literal++]);
    }
    layout.files[0].segments.push_back(
        {.kind = Segment::Kind::kCopy, .size = 4, .source_offset = offset});
    expected.insert(expected.end(), format.file.begin() + static_cast<ptrdiff_t>(offset),
                    format.file.begin() + static_cast<ptrdiff_t>(offset + 4));
  }
  layout.files[0].size_bytes = layout.size_bytes = expected.size();
  auto shrinker = Shrinker::Create(format, Shared(layout));
  ASSERT_TRUE(shrinker.ok()) << shrinker.status().message();
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.output, expected);
  EXPECT_EQ(run.written, std::vector<int>(expected.size(), 1));
  EXPECT_LE(run.max_read, uint64_t{1} << 20);
}

TEST(ShrinkerTest, ReadsInBoundedSlices) {
  FakeFormat format;
  const std::vector<float> values = Ramp((size_t{5} << 19) + 3);
  format.Add("w", {values.size()}, values);
  format.PlanFloat16(0);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok());
  const RunLog run = Execute(shrinker.value().get(), format);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.num_reads, 3u);
  EXPECT_EQ(run.written, std::vector<int>(run.output.size(), 1));
}

TEST(ShrinkerTest, NotesOverflows) {
  FakeFormat format;
  format.Add("w", {2}, {1e6f, 1});
  format.PlanFloat16(0);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok());
  ASSERT_TRUE(Execute(shrinker.value().get(), format).status.ok());
  EXPECT_EQ(shrinker.value()->tensor(0).note(), "1 value overflowed to infinity");

  format.layout.jobs[0].scheme.saturate = true;
  auto saturating = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(saturating.ok());
  ASSERT_TRUE(Execute(saturating.value().get(), format).status.ok());
  EXPECT_EQ(saturating.value()->tensor(0).note(),
            "1 value beyond the type's range, written as its largest");
}

TEST(ShrinkerTest, NamesTensorAndOffsetOfNonFiniteValue) {
  FakeFormat format;
  format.Add("a", {1}, {0});
  format.Add("w", {3}, {1, 2, std::numeric_limits<float>::quiet_NaN()});
  format.PlanFloat16(1);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok());
  const RunLog run = Execute(shrinker.value().get(), format);
  EXPECT_EQ(run.status.code(), StatusCode::kArgument);
  EXPECT_EQ(run.status.tensor(), "w");
  EXPECT_EQ(run.status.offset(), std::optional<uint64_t>(12));
  EXPECT_EQ(shrinker.value()->Next().status().code(), StatusCode::kArgument);
}

TEST(ShrinkerTest, RefusesBrokenLayouts) {
  FakeFormat format;
  format.Add("w", {4}, {1, 2, 3, 4});
  format.PlanFloat16(0);
  const auto code_of = [&](auto&& change) {
    Layout layout = format.layout;
    change(layout);
    return Shrinker::Create(format, Shared(std::move(layout))).status().code();
  };
  EXPECT_EQ(code_of([](Layout&) {}), StatusCode::kOk);
  EXPECT_EQ(code_of([](Layout& l) { ++l.size_bytes; }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.literals.pop_back(); }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[0].segments[2].source_offset = 13; }),
            StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[0].segments[1].job = 1; }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[0].segments.push_back(l.files[0].segments[1]); }),
            StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.jobs[0].shape = {3}; }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.outcomes.clear(); }), StatusCode::kIntegrity);
}

TEST(ShrinkerTest, RefusesAnotherNumberOfBytes) {
  FakeFormat format;
  format.Add("w", {4}, {1, 2, 3, 4});
  format.PlanFloat16(0);
  auto shrinker = Shrinker::Create(format, Shared(format.layout));
  ASSERT_TRUE(shrinker.ok());
  ASSERT_TRUE(shrinker.value()->Start(1).ok());
  ASSERT_EQ(shrinker.value()->Next().value().kind, Step::Kind::kRead);
  EXPECT_EQ(shrinker.value()->Feed(Bytes(15)).code(), StatusCode::kArgument);
}

TEST(ComparerTest, ReadsNarrowFloatsThatStandForAnotherTensor) {
  FakeFormat original, other;
  original.Add("w", {4}, {1, 2, 3, 4});
  other.Add("w", {2}, {0, 0});
  Tensor& narrow = other.model_.tensors[0];
  narrow.shape = {4};
  narrow.scheme.type = DType::kFloat16;
  // As the ONNX reader describes a constant behind a Cast.
  narrow.quantized = true;
  other.file = {0x00, 0x3C, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44};
  auto comparer = Comparer::Create(original, other);
  ASSERT_TRUE(comparer.ok());
  const RunLog run = Execute(comparer.value().get(), {&original.file, &other.file});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  const TensorReport& entry = comparer.value()->report().tensors.at(0);
  EXPECT_TRUE(entry.sqnr_db.has_value());
  EXPECT_EQ(entry.note(), "");
  EXPECT_EQ(entry.max_abs_error, 0);
}

// A quantized tensor may have scales although it has no elements, inline or in the file.
TEST(ComparerTest, TensorsWithoutElementsAreEqualWhateverTheirScales) {
  FakeFormat model;
  model.Add("inline", {0, 4}, {});
  model.Add("stored", {4, 0}, {});
  model.Add("scales", {4}, {1, 2, 3, 4});
  Tensor& inline_scales = model.model_.tensors[0];
  inline_scales.scheme = {.type = DType::kUint8, .rule = LinearRule::kTfjs, .symmetric = false};
  inline_scales.quantized = true;
  inline_scales.parameters.assign(16, 0);
  Tensor& stored_scales = model.model_.tensors[1];
  stored_scales.scheme = {.type = DType::kInt8, .granularity = Granularity::kAxis};
  stored_scales.quantized = true;
  stored_scales.parts[1] = model.model_.tensors[2].parts[0];
  auto comparer = Comparer::Create(model, model);
  ASSERT_TRUE(comparer.ok());
  const RunLog run = Execute(comparer.value().get(), {&model.file, &model.file});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.tensors, (std::vector<size_t>{0, 1, 2}));
}

TEST(ComparerTest, ComparesByNameAndSaysWhatItCannot) {
  FakeFormat original, other;
  original.Add("same", {2}, {3, 4});
  original.Add("off", {2, 2}, {1, 2, 3, 4});
  original.Add("missing", {1}, {1});
  original.Add("shape", {3}, {1, 2, 3});
  other.Add("off", {4}, {1, 2, 3, 4.5f});
  other.Add("same", {2}, {3, 4});
  other.Add("shape", {2}, {1, 2});
  auto comparer = Comparer::Create(original, other);
  ASSERT_TRUE(comparer.ok());
  const RunLog run = Execute(comparer.value().get(), {&original.file, &other.file});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.tensors, (std::vector<size_t>{0, 1}));
  const std::vector<TensorReport>& tensors = comparer.value()->report().tensors;
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors[0].sqnr_db, std::numeric_limits<double>::infinity());
  EXPECT_EQ(tensors[1].max_abs_error, 0.5);
  EXPECT_EQ(tensors[1].note(), "stored as [4]: compared in row-major order");
  EXPECT_FALSE(tensors[2].sqnr_db.has_value());
  EXPECT_EQ(tensors[2].note(), "the other model has no such tensor");
  EXPECT_FALSE(tensors[3].sqnr_db.has_value());
  EXPECT_EQ(tensors[3].note(), "of another shape: only models' outputs can be compared");
  EXPECT_EQ(tensors[3].to, "float32");
  EXPECT_EQ(tensors[3].output_shape, Shape{2});
}

}  // namespace
}  // namespace modelshrink
