#include "formats/safetensors/name_map.h"

namespace modelshrink::safetensors {

uint32_t NameMap::Add(const std::string& name, uint32_t number) {
  return numbers_.emplace(name, number).first->second;
}

uint32_t NameMap::Find(const std::string& name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? kNone : found->second;
}

}  // namespace modelshrink::safetensors
