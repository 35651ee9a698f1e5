// Assertions on verdicts that name the refusal when they fail.
#pragma once

#include <gtest/gtest.h>

#include "core/refusal.h"

namespace prowingen {

inline testing::AssertionResult accepts(Verdict verdict) {
  if (verdict == nullptr) return testing::AssertionSuccess();
  return testing::AssertionFailure() << verdict->status << ": " << verdict->detail;
}

inline testing::AssertionResult refuses(Verdict verdict, RequestFault fault) {
  if (verdict == &refusal(fault)) return testing::AssertionSuccess();
  auto failure = testing::AssertionFailure() << "wanted \"" << refusal(fault).detail << "\", got ";
  if (verdict == nullptr) return failure << "acceptance";
  return failure << '"' << verdict->detail << '"';
}

}  // namespace prowingen
