// The answer to a request for a file: conditions, ranges and codings, as RFC 9110 has them.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/exchange.h"
#include "static_files/file.h"

namespace prowingen::static_files {

struct AnswerRules {
  /// For how long a client need not ask again, for files whose name has no hash; 0: it is to ask
  /// each time.
  std::chrono::seconds max_age{0};
  std::string transport_security;  // what goes with answers by HTTPS; empty: nothing
};

/// Answers an exchange that runs.
void answer(Exchange& exchange, const std::shared_ptr<const File>& file, const AnswerRules& rules);

/// To a request for a folder by a path without the slash at its end: the same path with it.
void redirect_to_folder(Exchange& exchange, const AnswerRules& rules);

}  // namespace prowingen::static_files
