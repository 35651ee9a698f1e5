// What stands between an engine and the workers: some requests are answered on the way, the others
// go on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

#include "core/engine.h"

namespace prowingen {

/// `answers(exchange)`: whether it has answered that one. Returns what submit() has to. Those
/// between two that are answered go on in one call, as each may wake a worker.
template <typename Answers>
std::size_t pass_on_rest(std::span<const std::shared_ptr<Exchange>> exchanges, RequestSink& next,
                         Answers answers) {
  std::size_t start = 0;
  std::size_t first_refused = exchanges.size();
  const auto pass_on_until = [&](std::size_t end) {
    if (end == start) return;
    const auto taken = next.submit(exchanges.subspan(start, end - start));
    if (taken < end - start) first_refused = std::min(first_refused, start + taken);
  };
  for (std::size_t at = 0; at < exchanges.size(); ++at) {
    if (!answers(*exchanges[at])) continue;
    pass_on_until(at);
    start = at + 1;
  }
  pass_on_until(exchanges.size());
  return first_refused;
}

}  // namespace prowingen
