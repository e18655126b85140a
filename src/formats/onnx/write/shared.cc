#include "formats/onnx/write/shared.h"

#include <string_view>

#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
namespace {

constexpr std::string_view kMicrosoftDomain = "com.microsoft";
constexpr int64_t kFirstOpsetWithAnyConstant = 9;

}  // namespace

void Merge(const ActivationQuantizer& quantizer, const Document& document,
           ActivationQuantizers* all) {
  const size_t user = quantizer.first_user;
  const std::pair key(quantizer.graph, quantizer.input);
  ActivationQuantizer& known = all->try_emplace(key, quantizer).first->second;
  const auto position = [&document](size_t node) { return document.nodes[node].field.begin; };
  if (position(user) < position(known.first_user)) known.first_user = user;
}

ConstantForm FormOfConstant(const Document& document, int32_t data_type, bool as_initializer) {
  const bool is_free = document.ir_version >= kFirstIrWithFreeInitializers;
  if (as_initializer && is_free) return ConstantForm::kInitializer;
  const bool is_float = data_type == kTypeFloat || data_type == kTypeDouble ||
                        data_type == OnnxTypeOf(DType::kFloat16);
  if (is_float || document.opset >= kFirstOpsetWithAnyConstant) return ConstantForm::kNode;
  return is_free ? ConstantForm::kInitializer : ConstantForm::kMainGraphInput;
}

Fragment FieldOfInput(const std::string& name, int32_t data_type, const Shape& dims) {
  ValueInfo info = {.elem_type = data_type, .has_shape = true};
  for (const uint64_t dim : dims) info.dims.push_back({.size = static_cast<int64_t>(dim)});
  return FieldOf(kGraphInput, ValueInfoProto(name, info));
}

Fragment FieldsOfConstant(const Document& document, const std::string& name,
                          const SharedConstant& constant) {
  const auto tensor = [&constant](std::string_view own_name) {
    return TensorProto(own_name, constant.data_type, constant.dims, LiteralOf(constant.bytes));
  };
  const ConstantForm form = FormOfConstant(document, constant.data_type, /*as_initializer=*/false);
  if (form == ConstantForm::kNode) return FieldOf(kGraphNode, ConstantNodeProto(name, tensor("")));
  Fragment fields = FieldOf(kGraphInitializer, tensor(name));
  if (form == ConstantForm::kMainGraphInput) {
    fields.Append(FieldOfInput(name, constant.data_type, constant.dims));
  }
  return fields;
}

Fragment MicrosoftImport() {
  Fragment import;
  import.AppendBytesField(kOpsetDomain, kMicrosoftDomain);
  import.AppendVarintField(kOpsetVersion, 1);
  return FieldOf(kModelOpsetImport, import);
}

}  // namespace modelshrink::onnx
