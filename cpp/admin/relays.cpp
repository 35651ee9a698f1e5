#include "admin/relays.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "admin/relay.h"
#include "core/exchange.h"
#include "core/signals.h"

namespace prowingen::admin {
namespace {

// How often it is looked whether clients are there still, and who is late.
constexpr std::chrono::milliseconds look_interval{250};

bool is_sent(const std::weak_ptr<Exchange>& answered) {
  const auto exchange = answered.lock();
  if (!exchange) return true;
  const auto state = exchange->state();
  return state != ExchangeState::responding && state != ExchangeState::finished;
}

}  // namespace

bool Relays::begin(const std::shared_ptr<Exchange>& exchange, std::string question) {
  auto relay = std::make_shared<Relay>(*this, exchange, std::move(question));
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || there_ == most) return false;
    try {
      if (!loop_) loop_ = std::make_unique<EventLoop>();
      if (!thread_.joinable()) {
        const BlockedSignals no_signals;
        thread_ = std::thread([this] { run(); });
      }
    } catch (const std::system_error&) {
      return false;
    }
    ++there_;
    fresh_.push_back(relay);
  }
  exchange->watch(relay);
  schedule(std::move(relay));
  return true;
}

void Relays::schedule(std::shared_ptr<Relay> relay) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  scheduled_.push_back(std::move(relay));
  loop_->wake();
}

void Relays::see_to_scheduled() {
  std::vector<std::shared_ptr<Relay>> fresh;
  std::vector<std::shared_ptr<Relay>> scheduled;
  {
    const std::lock_guard lock(mutex_);
    fresh.swap(fresh_);
    scheduled.swap(scheduled_);
  }
  relays_.insert(relays_.end(), fresh.begin(), fresh.end());
  for (const auto& relay : scheduled) relay->pump();
}

void Relays::look() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& relay : relays_) relay->look(now);
}

bool Relays::forget_over() {
  const auto over =
      std::ranges::partition(relays_, [](const auto& relay) { return !relay->is_over(); });
  const std::lock_guard lock(mutex_);
  std::erase_if(answered_, is_sent);
  for (const auto& relay : over) answered_.push_back(relay->exchange());
  there_ -= over.size();
  relays_.erase(over.begin(), over.end());
  return stopped_;
}

bool Relays::busy() {
  const std::lock_guard lock(mutex_);
  std::erase_if(answered_, is_sent);
  return there_ != 0 || !answered_.empty();
}

void Relays::run() {
  EventLoop::Timer timer(*loop_, [this] { look(); });
  for (;;) {
    if (!relays_.empty() && !timer.armed()) timer.arm(EventLoop::Clock::now() + look_interval);
    loop_->turn(true);
    loop_->acknowledge_wakes();
    see_to_scheduled();
    if (forget_over()) break;
  }
  // Whoever came meanwhile is among them.
  see_to_scheduled();
  for (const auto& relay : relays_) relay->cut();
  relays_.clear();
}

void Relays::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (loop_) loop_->wake();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace prowingen::admin
