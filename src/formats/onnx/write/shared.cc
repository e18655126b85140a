#include "formats/onnx/write/shared.h"

#include <string_view>

#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
namespace {

constexpr std::string_view kMicrosoftDomain = "com.microsoft";

}  // namespace

void Merge(const ActivationQuantizer& quantizer, const Document& document,
           ActivationQuantizers* all) {
  const size_t user = quantizer.first_user;
  const std::pair key(quantizer.graph, quantizer.input);
  ActivationQuantizer& known = all->try_emplace(key, quantizer).first->second;
  const auto position = [&document](size_t node) { return document.nodes[node].field.begin; };
  if (position(user) < position(known.first_user)) known.first_user = user;
}

Fragment FieldOfConstant(const std::string& name, const SharedConstant& constant) {
  return FieldOf(kGraphNode,
                 ConstantNodeProto(name, TensorProto("", constant.data_type, constant.dims,
                                                     LiteralOf(constant.bytes))));
}

Fragment MicrosoftImport() {
  Fragment import;
  import.AppendBytesField(kOpsetDomain, kMicrosoftDomain);
  import.AppendVarintField(kOpsetVersion, 1);
  return FieldOf(kModelOpsetImport, import);
}

}  // namespace modelshrink::onnx
