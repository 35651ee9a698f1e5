#include "sockets/bridge_thread.h"

#include <system_error>
#include <utility>

#include "core/exchange.h"
#include "core/signals.h"
#include "sockets/bridge.h"

namespace prowingen::sockets {

std::shared_ptr<Bridge> BridgeThread::make(const std::shared_ptr<Exchange>& exchange,
                                           std::size_t high_water) {
  auto bridge = std::make_shared<Bridge>(*this, exchange, high_water, Bridge::make_pair());
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) throw std::system_error(std::make_error_code(std::errc::operation_canceled));
    if (!loop_) loop_ = std::make_unique<EventLoop>();
    if (!thread_.joinable()) {
      const BlockedSignals no_signals;
      thread_ = std::thread([this] { run(); });
    }
  }
  exchange->watch(bridge);
  schedule(bridge);
  return bridge;
}

void BridgeThread::schedule(std::shared_ptr<Bridge> bridge) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  scheduled_.push_back(std::move(bridge));
  loop_->wake();
}

void BridgeThread::see_to_scheduled() {
  std::vector<std::shared_ptr<Bridge>> scheduled;
  {
    const std::lock_guard lock(mutex_);
    scheduled.swap(scheduled_);
  }
  for (const auto& bridge : scheduled) {
    if (bridge->is_new()) begin(bridge);
    bridge->pump();
  }
}

void BridgeThread::begin(const std::shared_ptr<Bridge>& bridge) {
  try {
    bridges_.push_back(bridge);
    bridge->index_ = bridges_.size() - 1;
    bridge->begin(*loop_);
  } catch (const std::exception&) {  // no memory: as with a connection
    if (!bridges_.empty() && bridges_.back() == bridge) bridges_.pop_back();
    bridge->give_up();
  }
}

void BridgeThread::run() {
  for (;;) {
    loop_->turn(true);
    loop_->acknowledge_wakes();
    see_to_scheduled();
    over_.clear();
    const std::lock_guard lock(mutex_);
    if (stopped_ && scheduled_.empty()) break;
  }
  while (!bridges_.empty()) bridges_.back()->end();
  over_.clear();
}

// It may be in the middle of a call of its own.
void BridgeThread::forget(Bridge& bridge) {
  auto& place = bridges_[bridge.index_];
  over_.push_back(std::move(place));
  place = std::move(bridges_.back());
  if (place) place->index_ = bridge.index_;
  bridges_.pop_back();
}

void BridgeThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (loop_) loop_->wake();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace prowingen::sockets
