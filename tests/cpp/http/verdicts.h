// Assertions on verdicts that name the refusal when they fail, and heads to judge.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>
#include <utility>

#include "http/message.h"
#include "http/refusal.h"
#include "http/request_policy.h"

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

inline constexpr HttpVersion http_1_0{1, 0};
inline constexpr HttpVersion http_1_1{1, 1};

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A header section and what became of it. On HTTP/1.1 it begins with the field line `Host: a`.
struct Checked {
  Checked(HttpVersion version, Fields fields, const RequestLimits& limits = {}) {
    head.set_request_line("POST", "/", version);
    if (version == http_1_1) head.add_field("Host", "a");
    for (const auto& [name, value] : fields) head.add_field(name, value);
    verdict = check_header_section(head, limits, semantics);
  }
  RequestHead head;
  RequestSemantics semantics;
  Verdict verdict = nullptr;
};

}  // namespace prowingen
