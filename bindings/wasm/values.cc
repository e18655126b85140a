#include "values.h"

#include <cmath>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

#include "base/checked.h"
#include "base/decimal.h"
#include "formats/json/json.h"

namespace modelshrink::wasm {
namespace {

constexpr uint64_t kMaxRank = 64;

constexpr Word<Granularity> kGranularities[] = {
    {"tensor", Granularity::kTensor}, {"axis", Granularity::kAxis}, {"block", Granularity::kBlock}};
constexpr Word<LinearRule> kRules[] = {{"onnx-linear", LinearRule::kOnnxLinear},
                                       {"onnx-blockwise", LinearRule::kOnnxBlockwise}};
constexpr Word<NonFinite> kNonFinites[] = {{"error", NonFinite::kError},
                                           {"zero", NonFinite::kZero}};
constexpr Word<Mode> kModes[] = {
    {"storage", Mode::kStorage}, {"dynamic", Mode::kDynamic}, {"lowmem", Mode::kLowmem}};

StatusOr<DType> TypeFrom(const val& object) {
  const val value = object["type"];
  std::string allowed;
  for (uint8_t i = 0; i < static_cast<uint8_t>(DType::kOther); ++i) {
    const DType type = static_cast<DType>(i);
    if (type != DType::kFloat32 && !IsNarrowFloat(type) && !IsLinear(type) && !IsGgmlBlock(type)) {
      continue;
    }
    if (value.isString() && value.as<std::string>() == NameOf(type)) return type;
    if (!allowed.empty()) allowed += ", ";
    allowed += '"' + std::string(NameOf(type)) + '"';
  }
  return WrongValue("type", "one of " + allowed, TextOf(value));
}

constexpr Word<PruneSpec::Method> kPruneMethods[] = {{"none", PruneSpec::Method::kNone},
                                                     {"magnitude", PruneSpec::Method::kMagnitude},
                                                     {"random", PruneSpec::Method::kRandom},
                                                     {"below", PruneSpec::Method::kBelow},
                                                     {"n:m", PruneSpec::Method::kRuns},
                                                     {"wanda", PruneSpec::Method::kWanda},
                                                     {"sparsegpt", PruneSpec::Method::kSparseGpt},
                                                     {"obc", PruneSpec::Method::kObc},
                                                     {"channels", PruneSpec::Method::kChannels}};

StatusOr<PruneSpec> PruneSpecFrom(const val& object) {
  PruneSpec spec;
  if (object.isUndefined()) return spec;
  RETURN_IF_ERROR(CheckObject(object, "prune"));
  ASSIGN_OR_RETURN(spec.method, WordFrom(object, "method", kPruneMethods));
  ASSIGN_OR_RETURN(spec.amount.value, NumberFrom(object, "amount"));
  ASSIGN_OR_RETURN(spec.amount.is_fraction, BoolFrom(object, "isFraction"));
  ASSIGN_OR_RETURN(spec.n, Uint32From(object, "n"));
  ASSIGN_OR_RETURN(spec.m, Uint32From(object, "m"));
  ASSIGN_OR_RETURN(spec.magnitude_bits, Uint32From(object, "magnitudeBits"));
  ASSIGN_OR_RETURN(spec.seed, IntegerFrom(object["seed"], "seed", kMaxInteger));
  ASSIGN_OR_RETURN(spec.norm, NumberFrom(object, "norm"));
  ASSIGN_OR_RETURN(spec.multiple_of, Uint32From(object, "multipleOf"));
  ASSIGN_OR_RETURN(spec.num_samples, IntegerFrom(object["samples"], "samples", kMaxInteger));
  ASSIGN_OR_RETURN(spec.damping, NumberFrom(object, "damping"));
  ASSIGN_OR_RETURN(spec.refit, BoolFrom(object, "refit"));
  ASSIGN_OR_RETURN(spec.feedback, BoolFrom(object, "feedback"));
  ASSIGN_OR_RETURN(spec.act_order, BoolFrom(object, "actOrder"));
  return spec;
}

StatusOr<TensorSpec> SpecFrom(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "spec"));
  TensorSpec spec;
  ASSIGN_OR_RETURN(spec.keep, BoolFrom(object, "keep"));
  ASSIGN_OR_RETURN(spec.prune, PruneSpecFrom(object["prune"]));
  ASSIGN_OR_RETURN(spec.non_finite, WordFrom(object, "nonFinite", kNonFinites));
  const val sparse_entries = object["sparseEntries"];
  if (!sparse_entries.isUndefined()) {
    ASSIGN_OR_RETURN(spec.sparse_entries,
                     IntegerFrom(sparse_entries, "sparseEntries", kMaxInteger));
  }
  // Most tensors of most models are kept; what they would become does not matter.
  if (spec.keep) return spec;
  ASSIGN_OR_RETURN(spec.type, TypeFrom(object));
  ASSIGN_OR_RETURN(spec.granularity, WordFrom(object, "granularity", kGranularities));
  ASSIGN_OR_RETURN(spec.block_size, Uint32From(object, "blockSize"));
  ASSIGN_OR_RETURN(spec.symmetric, BoolFrom(object, "symmetric"));
  ASSIGN_OR_RETURN(spec.mode, WordFrom(object, "mode", kModes));
  return spec;
}

void SetRange(const ByteRange& range, val* object) {
  object->set("file", range.file);
  object->set("offset", NumberOf(range.offset));
  object->set("size", NumberOf(range.size));
}

// `name` with what stands before it: "{", "," or "[" and so on.
void AppendMember(const char* name, std::string_view value, std::string* json) {
  *json += name;
  modelshrink::json::AppendQuoted(value, json);
}

void AppendMember(const char* name, uint64_t value, std::string* json) {
  *json += name;
  *json += std::to_string(value);
}

// Nothing that only converts to bool, such as a pointer.
void AppendMember(const char* name, std::same_as<bool> auto value, std::string* json) {
  *json += name;
  *json += value ? "true" : "false";
}

// `append(item, json)` for each, as an array.
template <typename Items, typename Append>
void AppendArray(const char* name, const Items& items, Append append, std::string* json) {
  *json += name;
  *json += '[';
  bool is_first = true;
  for (const auto& item : items) {
    if (!is_first) *json += ',';
    is_first = false;
    append(item, json);
  }
  *json += ']';
}

void AppendShape(const char* name, const Shape& shape, std::string* json) {
  AppendArray(
      name, shape, [](uint64_t size, std::string* out) { AppendMember("", size, out); }, json);
}

void AppendFiles(const char* name, const std::vector<InputFile>& files, std::string* json) {
  AppendArray(
      name, files,
      [](const InputFile& file, std::string* out) {
        AppendMember("{\"name\":", file.name, out);
        AppendMember(",\"sizeBytes\":", file.size_bytes, out);
        *out += '}';
      },
      json);
}

void AppendNumbers(const char* name, const std::vector<int64_t>& numbers, std::string* json) {
  if (numbers.empty()) return;
  const auto append = [](int64_t number, std::string* out) { *out += std::to_string(number); };
  AppendArray(name, numbers, append, json);
}

void AppendLayerInput(const LayerInput& input, std::string* json) {
  static constexpr const char* kHidden[] = {nullptr, "initial", "forward", "reverse",
                                            "bidirectional"};
  AppendMember("{\"value\":", input.value, json);
  AppendMember(",\"node\":", input.node, json);
  if (input.graph != 0) AppendMember(",\"graph\":", uint64_t{input.graph}, json);
  const char* hidden = kHidden[static_cast<size_t>(input.hidden)];
  if (hidden != nullptr) AppendMember(",\"hidden\":", hidden, json);
  AppendNumbers(",\"strides\":", input.strides, json);
  AppendNumbers(",\"dilations\":", input.dilations, json);
  AppendNumbers(",\"pads\":", input.pads, json);
  if (!input.auto_pad.empty()) AppendMember(",\"autoPad\":", input.auto_pad, json);
  *json += '}';
}

void AppendTensorInfo(const Tensor& tensor, std::string* json) {
  AppendMember("{\"name\":", tensor.name, json);
  AppendShape(",\"shape\":", tensor.shape, json);
  AppendMember(",\"type\":", StoredAs(tensor), json);
  AppendMember(",\"quantized\":", tensor.quantized, json);
  if (tensor.quantized) AppendMember(",\"restoredType\":", NameOf(tensor.restored_type), json);
  AppendMember(",\"storedBytes\":", tensor.stored_bytes, json);
  AppendMember(",\"isWeight\":", tensor.is_weight, json);
  AppendMember(",\"axis\":", uint64_t{tensor.axis}, json);
  AppendMember(",\"consumer\":", tensor.consumer, json);
  if (!tensor.note.empty()) AppendMember(",\"note\":", tensor.note, json);
  if (tensor.groups > 1) AppendMember(",\"groups\":", uint64_t{tensor.groups}, json);
  if (!tensor.layer_inputs.empty()) {
    AppendArray(",\"layerInputs\":", tensor.layer_inputs, AppendLayerInput, json);
    const ByteRange& values = tensor.parts[static_cast<size_t>(Part::kCodes)];
    if (values.file == 0) AppendMember(",\"dataOffset\":", values.offset, json);
  }
  *json += '}';
}

// All but the statistics: JSON has no infinities.
void AppendTensorReport(const TensorReport& report, std::string* json) {
  AppendMember("{\"name\":", report.name, json);
  AppendShape(",\"shape\":", report.shape, json);
  AppendMember(",\"from\":", report.from, json);
  AppendMember(",\"to\":", report.to, json);
  if (!report.method.empty()) AppendMember(",\"method\":", report.method, json);
  AppendShape(",\"outputShape\":", report.output_shape, json);
  AppendMember(",\"inputBytes\":", report.input_bytes, json);
  AppendMember(",\"outputBytes\":", report.output_bytes, json);
  if (!report.note.empty()) AppendMember(",\"note\":", report.note, json);
  *json += '}';
}

void SetStats(const TensorReport& report, val* entry) {
  if (report.sparsity) entry->set("sparsity", *report.sparsity);
  if (!report.has_stats) return;
  entry->set("sqnr", report.sqnr_db);
  entry->set("maxAbsError", report.max_abs_error);
  entry->set("meanAbsError", report.mean_abs_error);
  entry->set("cosine", report.cosine);
}

// Objects with text from models cross as JSON: Embind drops U+FEFF where a string begins, an
// object's
// "__proto__" is no key, a string's copy may go to what malloc gives when it gives nothing, and a
// call into JavaScript for each member takes several times as long.
val ParsedJson(const std::string& json) {
  const val bytes(
      emscripten::typed_memory_view(json.size(), reinterpret_cast<const uint8_t*>(json.data())));
  const val text = val::global("TextDecoder").new_().call<val>("decode", bytes);
  return val::global("JSON").call<val>("parse", text);
}

}  // namespace

val ErrorOf(const Status& status) {
  std::string json;
  AppendMember("{\"error\":", ErrorClassOf(status.code()), &json);
  AppendMember(",\"message\":", status.message(), &json);
  if (!status.tensor().empty()) AppendMember(",\"tensor\":", status.tensor(), &json);
  if (status.offset()) AppendMember(",\"offset\":", *status.offset(), &json);
  json += '}';
  return ParsedJson(json);
}

val ResultOf(const Status& status) { return status.ok() ? val::object() : ErrorOf(status); }

StatusOr<Shape> ShapeFrom(const val& shape) {
  if (!shape.isArray()) return WrongValue("shape", "an array of integers", TextOf(shape));
  ASSIGN_OR_RETURN(const uint64_t rank, IntegerFrom(shape["length"], "shape.length", kMaxRank));
  Shape result(static_cast<size_t>(rank));
  for (size_t i = 0; i < result.size(); ++i) {
    ASSIGN_OR_RETURN(result[i], IntegerFrom(shape[i], "shape", kMaxInteger));
  }
  return result;
}

StatusOr<Scheme> SchemeFrom(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "scheme"));
  Scheme scheme;
  ASSIGN_OR_RETURN(scheme.type, TypeFrom(object));
  ASSIGN_OR_RETURN(scheme.granularity, WordFrom(object, "granularity", kGranularities));
  ASSIGN_OR_RETURN(scheme.rule, WordFrom(object, "rule", kRules));
  ASSIGN_OR_RETURN(scheme.axis, Uint32From(object, "axis"));
  ASSIGN_OR_RETURN(scheme.block_size, Uint32From(object, "blockSize"));
  ASSIGN_OR_RETURN(scheme.symmetric, BoolFrom(object, "symmetric"));
  ASSIGN_OR_RETURN(scheme.transposed, BoolFrom(object, "transposed"));
  ASSIGN_OR_RETURN(scheme.non_finite, WordFrom(object, "nonFinite", kNonFinites));
  return scheme;
}

StatusOr<std::vector<TensorSpec>> SpecsFrom(const val& specs, size_t count) {
  if (!specs.isArray()) return WrongValue("specs", "an array", TextOf(specs));
  if (!specs["length"].strictlyEquals(NumberOf(count))) {
    return WrongValue("specs.length", std::to_string(count), TextOf(specs["length"]));
  }
  std::vector<TensorSpec> result(count);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(result[i], SpecFrom(specs[i]));
  }
  return result;
}

StatusOr<std::vector<Tap>> TapsFrom(const val& array) {
  RETURN_IF_ERROR(CheckObject(array, "taps"));
  ASSIGN_OR_RETURN(const uint32_t length, Uint32From(array, "length"));
  std::vector<Tap> taps(length);
  for (uint32_t i = 0; i < length; ++i) {
    const val object = array[i];
    RETURN_IF_ERROR(CheckObject(object, "taps"));
    ASSIGN_OR_RETURN(taps[i].graph, Uint32From(object, "graph"));
    ASSIGN_OR_RETURN(taps[i].value, StringFrom(object, "value"));
    ASSIGN_OR_RETURN(taps[i].type, TypeFrom(object));
  }
  return taps;
}

StatusOr<WriteOptions> WriteOptionsFrom(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "options"));
  WriteOptions options;
  ASSIGN_OR_RETURN(options.strip, BoolFrom(object, "strip"));
  ASSIGN_OR_RETURN(options.main_name, StringFrom(object, "mainName"));
  if (!object["removedChannels"].isUndefined()) {
    ASSIGN_OR_RETURN(const std::string removed, StringFrom(object, "removedChannels"));
    for (const char c : removed) options.removed_channels.push_back(c == '0' ? 0 : 1);
  }
  if (!object["taps"].isUndefined()) {
    ASSIGN_OR_RETURN(options.taps, TapsFrom(object["taps"]));
  }
  return options;
}

val HeapBytesOf(std::span<const uint8_t> bytes) {
  val result = val::object();
  result.set("ptr", NumberOf(reinterpret_cast<uintptr_t>(bytes.data())));
  result.set("size", NumberOf(bytes.size()));
  return result;
}

val RequestOf(const Request& request) {
  if (request.open.empty()) return StepOf({.kind = Step::Kind::kRead, .range = request.range});
  std::string json = "{\"kind\":\"open\"";
  AppendMember(",\"name\":", request.open, &json);
  json += '}';
  return ParsedJson(json);
}

val UnitsOf(std::span<const Unit> units) {
  val array = val::array();
  for (size_t i = 0; i < units.size(); ++i) {
    val unit = val::object();
    if (units[i].tensor) unit.set("tensor", NumberOf(*units[i].tensor));
    unit.set("outputBytes", NumberOf(units[i].output_bytes));
    array.set(i, unit);
  }
  return array;
}

val StepOf(const Step& step) {
  static constexpr const char* kKinds[] = {"read", "copy", "write", "tensor", "done"};
  val result = val::object();
  result.set("kind", kKinds[static_cast<size_t>(step.kind)]);
  switch (step.kind) {
    case Step::Kind::kRead:
      result.set("input", step.input);
      SetRange(step.range, &result);
      break;
    case Step::Kind::kCopy:
      SetRange(step.range, &result);
      result.set("outputFile", step.output_file);
      result.set("outputOffset", NumberOf(step.output_offset));
      break;
    case Step::Kind::kWrite:
      result.set("outputFile", step.output_file);
      result.set("outputOffset", NumberOf(step.output_offset));
      result.set("bytes", HeapBytesOf(step.bytes));
      break;
    case Step::Kind::kTensor:
      result.set("tensor", NumberOf(step.tensor));
      break;
    case Step::Kind::kDone:
      break;
  }
  return result;
}

val InfoOf(const Model& model) {
  std::string json;
  AppendMember("{\"format\":", model.format, &json);
  AppendFiles(",\"files\":", model.files, &json);
  AppendMember(",\"sizeBytes\":", model.size_bytes, &json);
  json += ",\"metadata\":{";
  const char* separator = "";
  for (const auto& [key, value] : model.metadata) {
    AppendMember(separator, key, &json);
    AppendMember(":", value, &json);
    separator = ",";
  }
  AppendArray("},\"tensors\":", model.tensors, AppendTensorInfo, &json);
  json += '}';
  return ParsedJson(json);
}

val TensorReportOf(const TensorReport& report) {
  std::string json;
  AppendTensorReport(report, &json);
  val entry = ParsedJson(json);
  SetStats(report, &entry);
  return entry;
}

val ReportOf(const Report& report) {
  std::string json;
  AppendMember("{\"format\":", report.format, &json);
  AppendMember(",\"inputBytes\":", report.input_bytes, &json);
  AppendMember(",\"outputBytes\":", report.output_bytes, &json);
  AppendFiles(",\"files\":", report.files, &json);
  AppendArray(",\"tensors\":", report.tensors, AppendTensorReport, &json);
  json += '}';
  val result = ParsedJson(json);
  const val tensors = result["tensors"];
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    if (!report.tensors[i].has_stats) continue;
    val entry = tensors[i];
    SetStats(report.tensors[i], &entry);
  }
  return result;
}

}  // namespace modelshrink::wasm
