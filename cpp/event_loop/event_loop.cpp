#include "event_loop/event_loop.h"

#include <algorithm>

namespace prowingen {

// ---------------------------------------------------------------------------- Watch

EventLoop::Watch::Watch(EventLoop& loop, int descriptor, ReadyHandler& handler)
    : loop_(loop), descriptor_(descriptor), handler_(handler) {
  if (loop_.free_slots_.empty()) {
    loop_.free_slots_.push_back(static_cast<std::uint32_t>(loop_.slots_.size()));
    loop_.slots_.emplace_back();
  }
  const auto index = loop_.free_slots_.back();
  loop_.free_slots_.pop_back();
  Slot& slot = loop_.slots_[index];
  slot.watch = this;
  key_ = (std::uint64_t{slot.uses} << 32U) | index;
}

bool EventLoop::Watch::register_for(Interest interest) {
  const bool done = in_poller_ ? loop_.poller_.change(descriptor_, interest, key_)
                               : loop_.poller_.add(descriptor_, interest, key_);
  if (done) {
    in_poller_ = true;
    registered_ = interest;
  }
  return done;
}

bool EventLoop::Watch::want(Interest interest) {
  wanted_ = interest;
  return includes(registered_, interest) || register_for(interest);
}

void EventLoop::Watch::on_event(const ReadyEvent& event) {
  const Interest wanted = event.failed ? wanted_ : event.ready & wanted_;
  if (wanted != Interest::none) return handler_.on_ready(wanted);
  if (event.failed) {
    // Reported again and again as long as it is registered at all.
    loop_.poller_.remove(descriptor_);
    in_poller_ = false;
    registered_ = Interest::none;
    handler_.on_broken();
  } else {
    register_for(wanted_);
  }
}

void EventLoop::Watch::remove() {
  if (removed_) return;
  removed_ = true;
  if (in_poller_) loop_.poller_.remove(descriptor_);
  const auto index = static_cast<std::uint32_t>(key_);
  Slot& slot = loop_.slots_[index];
  slot.watch = nullptr;
  ++slot.uses;
  loop_.free_slots_.push_back(index);
}

// ---------------------------------------------------------------------------- Timer

EventLoop::Timer::Timer(EventLoop& loop, std::function<void()> callback)
    : loop_(loop), callback_(std::move(callback)) {
  loop_.timers_.push_back(this);
}

EventLoop::Timer::~Timer() { std::erase(loop_.timers_, this); }

EventLoop::Clock::duration EventLoop::time_to_wait(std::optional<Clock::time_point> until) const {
  constexpr Clock::duration longest = std::chrono::hours(1);
  auto next = until.value_or(Clock::time_point::max());
  for (const Timer* timer : timers_) next = std::min(next, timer->when_);
  if (next == Clock::time_point::max()) return longest;
  return std::clamp(next - Clock::now(), Clock::duration::zero(), longest);
}

void EventLoop::run_timers() {
  for (std::size_t i = 0; i < timers_.size(); ++i) {  // a callback may add one
    Timer& timer = *timers_[i];
    if (timer.when_ > now_) continue;
    timer.cancel();
    timer.callback_();
  }
}

// ---------------------------------------------------------------------------- EventLoop

void EventLoop::turn(bool wait, std::optional<Clock::time_point> until) {
  asleep_.store(true);
  const bool idle = wait && !woken_.load();
  const auto events = poller_.wait(idle ? time_to_wait(until) : Clock::duration::zero());
  asleep_.store(false);
  read_clock();  // handlers are not to live in the time before
  for (const ReadyEvent& event : events) {
    const Slot& slot = slots_[static_cast<std::uint32_t>(event.key)];
    if (slot.watch == nullptr || slot.uses != event.key >> 32U) continue;
    slot.watch->on_event(event);
  }
  run_timers();
}

void EventLoop::wake() {
  if (!woken_.exchange(true) && asleep_.load()) poller_.wake();
}

}  // namespace prowingen
