// Hop-by-hop fields that applications set in vain, and the log's word of it.
#pragma once

#include <Python.h>

#include <atomic>
#include <string_view>

#include "core/exchange.h"
#include "http/response_policy.h"
#include "wsgi/adapter.h"

namespace prowingen::wsgi {

/// One of a server: what an application sets in every answer is said once.
class LeftOutFields {
 public:
  explicit LeftOutFields(const ReportError& report) : report_(report) {}
  /// With the GIL, no Python error set.
  void note(ResponseField kind, std::string_view name, std::string_view value,
            const Exchange& exchange);

 private:
  const ReportError& report_;
  std::atomic<unsigned> said_{0};  // a bit for each kind
};

}  // namespace prowingen::wsgi
