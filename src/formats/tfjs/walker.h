// Steps over a JSON document that keep the first error, so that callers pass on a bool: much
// smaller code than a Status at each step.
#ifndef MODELSHRINK_FORMATS_TFJS_WALKER_H_
#define MODELSHRINK_FORMATS_TFJS_WALKER_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "formats/json/json.h"

namespace modelshrink::tfjs {

class Walker {
 protected:
  explicit Walker(const json::Document& json) : json_(json) {}

  // All return false after an error; status_ has it.
  bool Fail(json::NodeId node, std::string_view message);
  bool Check(Status status);
  bool Expect(json::NodeId node, json::Kind kind);
  // An object without a key that occurs twice.
  bool ExpectObject(json::NodeId node);
  // The member's value; an error "`what` has no "key"" without it.
  bool Find(json::NodeId object, const char* what, const char* key, json::NodeId* value);
  bool Find(json::NodeId object, const char* what, const char* key, json::Kind kind,
            json::NodeId* value);
  bool GetString(json::NodeId node, std::string* value);
  bool GetNumber(json::NodeId node, double* value);

  const json::Document& json_;
  Status status_;
};

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_WALKER_H_
