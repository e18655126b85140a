#include "formats/tfjs/walker.h"

#include <utility>

#include "base/concat.h"

namespace modelshrink::tfjs {

bool Walker::Fail(json::NodeId node, std::string_view message) {
  return Check(FormatError(std::string(message)).AtOffset(json_.OffsetOf(node)));
}

bool Walker::Check(Status status) {
  if (status.ok()) return true;
  status_ = std::move(status);
  return false;
}

bool Walker::Expect(json::NodeId node, json::Kind kind) { return Check(json_.Expect(node, kind)); }

bool Walker::ExpectObject(json::NodeId node) {
  return Expect(node, json::Kind::kObject) && Check(json_.CheckUniqueKeys(node));
}

bool Walker::Find(json::NodeId object, const char* what, const char* key, json::NodeId* value) {
  *value = json_.Find(object, key);
  if (*value != json_.root()) return true;
  return Fail(object, Concat({what, " has no \"", key, "\""}));
}

bool Walker::Find(json::NodeId object, const char* what, const char* key, json::Kind kind,
                  json::NodeId* value) {
  return Find(object, what, key, value) && Expect(*value, kind);
}

bool Walker::GetString(json::NodeId node, std::string* value) {
  auto text = json_.String(node);
  if (!text.ok()) return Check(text.status());
  *value = std::move(text).value();
  return true;
}

bool Walker::GetNumber(json::NodeId node, double* value) {
  const auto number = json_.Number(node);
  if (!number.ok()) return Check(number.status());
  *value = number.value();
  return true;
}

}  // namespace modelshrink::tfjs
