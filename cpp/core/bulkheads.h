// Keeps requests apart that could take every worker: of those of one lane only so many are let on
// at a time, to the work queue and to a worker; the others are held here, in their order. One goes
// on when another's worker is done with it. That of a request whose client has left, or whose
// answer is whole, may not be.
//
//   submitted --enter--> admitted: queued, then with a worker --leave--> over
//                `-----> held --leave of another--> admitted
//
// With the work queue's lock, where nothing else is said.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/exchange.h"

namespace prowingen {

/// Which lane a request is in, and how many of each may be with workers.
struct BulkheadRules {
  /// 0: in none. Any thread, without the lock.
  std::function<std::size_t(const Exchange&)> lane_of;
  std::vector<std::size_t> most;  // of lane 1, lane 2...
};

class Bulkheads {
 public:
  explicit Bulkheads(BulkheadRules rules)
      : lane_of_(std::move(rules.lane_of)), lanes_(rules.most.size()) {
    for (std::size_t at = 0; at < lanes_.size(); ++at) lanes_[at].most = rules.most[at];
  }

  /// Whether there are any lanes. Any thread.
  bool are_there() const { return !lanes_.empty(); }
  /// Any thread, without the lock.
  std::size_t lane_of(const Exchange& exchange) const { return lane_of_(exchange); }

  /// Whether it may go on; if not, it is held.
  bool enter(const std::shared_ptr<Exchange>& exchange) {
    if (exchange->lane == 0) return true;
    Lane& lane = lane_at(exchange->lane);
    if (lane.admitted < lane.most) {
      ++lane.admitted;
      return true;
    }
    lane.held.push_back(exchange);
    ++held_;
    return false;
  }

  /// One that went on is over. Returns the one that goes on in its place; null: none waits.
  std::shared_ptr<Exchange> leave(std::size_t at) {
    if (at == 0) return nullptr;
    Lane& lane = lane_at(at);
    if (lane.held.empty()) {
      --lane.admitted;
      return nullptr;
    }
    return take_first(lane);
  }

  std::size_t held() const { return held_; }

  /// Takes out those that were queued before then.
  template <typename Take>
  void take_older(SteadyTime then, Take take) {
    if (held_ == 0) return;
    for (Lane& lane : lanes_) {
      while (!lane.held.empty() && lane.held.front()->queued_at <= then) take(take_first(lane));
    }
  }

  /// When the one that has been held for longest was queued.
  std::optional<SteadyTime> oldest() const {
    if (held_ == 0) return std::nullopt;
    SteadyTime oldest = SteadyTime::max();
    for (const Lane& lane : lanes_) {
      if (!lane.held.empty()) oldest = std::min(oldest, lane.held.front()->queued_at);
    }
    return oldest;
  }

 private:
  struct Lane {
    std::size_t most = 0;
    std::size_t admitted = 0;
    std::deque<std::shared_ptr<Exchange>> held;
  };

  Lane& lane_at(std::size_t lane) { return lanes_[lane - 1]; }
  std::shared_ptr<Exchange> take_first(Lane& lane) {
    auto first = std::move(lane.held.front());
    lane.held.pop_front();
    --held_;
    return first;
  }

  const std::function<std::size_t(const Exchange&)> lane_of_;
  std::vector<Lane> lanes_;
  std::size_t held_ = 0;
};

}  // namespace prowingen
