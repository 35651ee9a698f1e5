#include "core/accept_share.h"

#include <algorithm>

namespace prowingen {
namespace {

// How far ahead a process may be: a few connections, or an eighth with many.
constexpr std::size_t few = 1;
constexpr std::size_t fraction = 8;
// A process that has not been heard of for so long takes nothing.
constexpr std::chrono::seconds frozen{1};

}  // namespace

bool AcceptShare::others_first(std::size_t open) {
  own_.set(Score::connections_open, open);
  // One that is about to stop takes what has come.
  gave_way_ = !gave_way_ && own_.get(Score::accepting) != 0 && another_has_fewer(open);
  return gave_way_;
}

bool AcceptShare::another_has_fewer(std::size_t open) const {
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  const auto alive_since =
      static_cast<std::uint64_t>((now - std::chrono::nanoseconds(frozen)).count());
  for (std::size_t i = 0; i < scoreboard_.used(); ++i) {
    const auto& other = scoreboard_.slot(i);
    if (&other == &own_ || other.get(Score::accepting) == 0 ||
        other.get(Score::heartbeat_ns) < alive_since) {
      continue;
    }
    const auto theirs = static_cast<std::size_t>(other.get(Score::connections_open));
    if (open > theirs + std::max(few, theirs / fraction)) return true;
  }
  return false;
}

}  // namespace prowingen
