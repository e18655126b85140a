// Numbers by name, with one instance of the hash table's code.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_NAME_MAP_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_NAME_MAP_H_

#include <cstdint>
#include <string>
#include <unordered_map>

namespace modelshrink::safetensors {

class NameMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The number that the name has; `number`, if it had none until now.
  uint32_t Add(const std::string& name, uint32_t number);
  // kNone: it has none.
  uint32_t Find(const std::string& name) const;
  bool empty() const { return numbers_.empty(); }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
};

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_NAME_MAP_H_
