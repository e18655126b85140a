// Runs a test once for each Highway target of this machine.
#ifndef MODELSHRINK_TESTS_COMMON_TARGETS_H_
#define MODELSHRINK_TESTS_COMMON_TARGETS_H_

#include <gtest/gtest.h>

#include "hwy/highway.h"

namespace modelshrink {

template <class Function>
void ForEachTarget(const Function& function) {
  for (int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    const int64_t target = targets & -targets;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    function();
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_TARGETS_H_
