#include "statsd/pusher.h"

#include <algorithm>
#include <utility>

#include "core/signals.h"
#include "statsd/lines.h"

namespace prowingen::statsd {
namespace {

using std::chrono::milliseconds;

// At the end, for a name that is being looked up.
constexpr milliseconds last_patience{1000};

// How often a process looks whether it is to push, and tries again what could not be sent.
std::chrono::nanoseconds looks_every(std::chrono::nanoseconds interval) {
  constexpr int looks = 4;
  constexpr milliseconds least{25};
  constexpr milliseconds most{1000};
  return std::clamp<std::chrono::nanoseconds>(interval / looks, least, most);
}

Tally::Sum difference(const Tally::Sum& now, const Tally::Sum& before) {
  Tally::Sum difference{};
  for (std::size_t i = 0; i < now.size(); ++i) difference[i] = now[i] - before[i];
  return difference;
}

}  // namespace

Pusher::Pusher(PushLedger& ledger, Rules rules, Look look, Report report)
    : ledger_(ledger),
      rules_(std::move(rules)),
      looks_every_(looks_every(rules_.interval)),
      look_(std::move(look)),
      report_(std::move(report)),
      channel_(rules_.address),
      begun_(Clock::now()),
      told_(begun_ - tells_every),
      thread_([this] { run(); }) {}

void Pusher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Pusher::run() {
  const BlockedSignals no_signals;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    lock.unlock();
    const auto next = round(Clock::now());
    lock.lock();
    stopping_.wait_until(lock, next, [this] { return stopped_; });
  }
  lock.unlock();
  finish();
}

// When to come again.
Pusher::Clock::time_point Pusher::round(Clock::time_point now) {
  const auto next_look = now + looks_every_;
  if (!ledger_.take(now)) return next_look;
  const bool open = channel_.open(now);  // before it is needed, as a name takes its time
  if (ledger_.unsent() && !send_journal()) {
    failed(now);
    return next_look;
  }
  const auto last = std::max(ledger_.last_push(), Clock::time_point());
  const auto due = (last == Clock::time_point() ? begun_ : last) + rules_.interval;
  if (now < due) return std::min(next_look, due);
  if (!open || !push(now)) failed(now);
  return next_look;
}

bool Pusher::push(Clock::time_point now) {
  auto picture = look_();
  const Tally::Sum sum = picture.sum;
  picture.sum = difference(sum, ledger_.pushed());
  Lines lines(rules_.lines);
  metrics::write(lines, picture);
  lost(ledger_.begin_push(sum, lines.end(), now));
  return send_journal();
}

bool Pusher::send_journal() {
  const bool all = ledger_.send([this](std::string_view datagram) {
    const auto sent = channel_.send(datagram);
    if (sent == PushLedger::Sent::never) lost(1);
    return sent;
  });
  if (all && failures_ != 0) {
    report_(Severity::info, "statsd: \"" + rules_.address.written + "\" takes figures again");
    failures_ = 0;
  }
  return all;
}

void Pusher::finish() {
  ledger_.leave();
  const auto now = Clock::now();
  bool succeeded = true;
  // Until nobody has left in the meantime who found that this one would do it.
  while (ledger_.take(now)) {
    const auto left = ledger_.left();
    succeeded =
        channel_.open(now, last_patience) && (!ledger_.unsent() || send_journal()) && push(now);
    ledger_.give_up();
    if (left == ledger_.left()) break;
  }
  if (!succeeded) {
    report_(Severity::warning, "statsd: \"" + rules_.address.written +
                                   "\": the last figures could not be pushed: " + channel_.fault());
  }
}

void Pusher::failed(Clock::time_point now) {
  ++failures_;
  if (now - told_ < tells_every) return;
  told_ = now;
  report_(Severity::warning, "statsd: \"" + rules_.address.written + "\": " + channel_.fault() +
                                 "; times that it was tried in vain: " + std::to_string(failures_) +
                                 "; what is counted meanwhile is pushed when it succeeds");
}

void Pusher::lost(std::size_t datagrams) {
  lost_ += datagrams;
  const auto now = Clock::now();
  if (lost_ == 0 || now - told_ < tells_every) return;
  told_ = now;
  report_(Severity::warning,
          "statsd: \"" + rules_.address.written +
              "\": datagrams that were too large and are lost: " + std::to_string(lost_));
  lost_ = 0;
}

}  // namespace prowingen::statsd
