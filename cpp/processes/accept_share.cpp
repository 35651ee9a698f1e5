#include "processes/accept_share.h"

#include <algorithm>
#include <utility>

namespace prowingen {
namespace {

// How far ahead a process may be: a few connections, or an eighth with many.
constexpr std::size_t few = 1;
constexpr std::size_t fraction = 8;
// Time enough for another process to wake up and to accept.
constexpr std::chrono::milliseconds turn{1};
// As long as this one is stuck it need not look so often.
constexpr std::chrono::milliseconds stuck_turn{10};
// A process that has not been heard of for so long takes nothing.
constexpr std::chrono::nanoseconds frozen = std::chrono::seconds(1);
// A process is stuck whose threads have neither taken nor ended a request for so long, though
// requests or the last thread were there. Shorter than what people notice, longer than most
// requests.
constexpr std::chrono::nanoseconds stuck = std::chrono::milliseconds(100);

bool is_stuck(const Scoreboard::Slot& slot) {
  return slot.get(Score::stalled_ns) >= static_cast<std::uint64_t>(stuck.count());
}

}  // namespace

std::chrono::milliseconds AcceptShare::others_first(std::size_t open) {
  own_.set(Score::connections_open, open);
  const bool gave_way = std::exchange(gave_way_, false);
  // One that is about to stop takes what has come.
  if (own_.get(Score::accepting) == 0) return {};
  if (is_stuck(own_)) return another([](std::size_t) { return true; }) ? stuck_turn : turn * 0;
  gave_way_ = !gave_way && another([open](std::size_t theirs) {
    return open > theirs + std::max(few, theirs / fraction);
  });
  return gave_way_ ? turn : turn * 0;
}

bool AcceptShare::another(const std::function<bool(std::size_t connections)>& holds) const {
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  const auto alive_since = static_cast<std::uint64_t>((now - frozen).count());
  for (std::size_t i = 0; i < scoreboard_.used(); ++i) {
    const auto& other = scoreboard_.slot(i);
    if (&other == &own_ || other.get(Score::accepting) == 0 ||
        other.get(Score::heartbeat_ns) < alive_since || is_stuck(other)) {
      continue;
    }
    if (holds(static_cast<std::size_t>(other.get(Score::connections_open)))) return true;
  }
  return false;
}

}  // namespace prowingen
