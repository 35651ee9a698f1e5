#include "bindings/overdue_requests.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string_view>

#include "wsgi/adapter.h"
#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::bindings {
namespace py = pybind11;
namespace {

std::chrono::nanoseconds nanoseconds_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to_duration(seconds));
}

TimeLimits limits_of(double usual, const PrefixTimes& by_prefix) {
  std::vector<TimeLimits::ByPrefix::Entry> prefixes;
  for (const auto& [prefix, seconds] : by_prefix) {
    prefixes.push_back({plain_prefix(prefix), nanoseconds_of(seconds)});
  }
  return {nanoseconds_of(usual), std::move(prefixes)};
}

// "30 s", "0.25 s"
std::string seconds_text(std::chrono::nanoseconds duration) {
  std::array<char, 32> text{};
  const double count = std::chrono::duration<double>(duration).count();
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), count, std::chars_format::general, 6);
  return std::string(text.data(), end.ptr) + " s";
}

}  // namespace

OverdueRequests::OverdueRequests(const Options& options, const PrefixTimes& by_prefix,
                                 py::object tell)
    : limits_(limits_of(options.request_timeout, by_prefix)),
      warned_before_(nanoseconds_of(options.request_timeout_raise)),
      most_stuck_(options.max_stuck),
      tell_(std::move(tell)) {}

RunPatience OverdueRequests::patience() const { return {limits_, warned_before_, most_stuck_}; }

void OverdueRequests::begin(Means means) {
  if (limits_.shortest().count() == 0) return;
  means_.emplace(std::move(means));
  // Where the warning comes nearly as soon as the request, it may be a little late: no deadline is.
  const auto interval = limits_.shortest() - std::min(limits_.shortest(), warned_before_);
  const auto least =
      std::min<std::chrono::nanoseconds>(limits_.shortest(), std::chrono::milliseconds(50));
  watch_ =
      std::make_unique<OverdueWatch>(means_->queue, std::max(interval, least),
                                     [this](const OverdueWatch::Event& event) { handle(event); });
}

void OverdueRequests::handle(const OverdueWatch::Event& event) {
  const auto& request = event.request;
  if (!request.warned_only && request.stuck > most_stuck_) means_->too_many();
  Late late{request.warned_only ? std::string() : message_of(event),
            request.worker,
            request.turn,
            request.thread,
            request.warned_only,
            request.wants_thread};
  means_->channel->add_call([this, late = std::move(late)] { see_to(late); });
}

std::string OverdueRequests::message_of(const OverdueWatch::Event& event) const {
  using enum Exchange::Overruling;
  std::string message = wsgi::request_line(*event.request.exchange);
  const std::string limit = seconds_text(event.request.limit);
  switch (event.done) {
    case answered: message += ": answered 504 after " + limit + ", its request_timeout"; break;
    case cut:
      message += ": its answer was broken off after " + limit + ", its request_timeout";
      break;
    case none: message += ": over, but its thread is still in it after " + limit; break;
  }
  if (event.request.stuck > most_stuck_) {
    message += "; more threads are stuck than max_stuck, and no other takes this one's place";
  }
  return message;
}

void OverdueRequests::see_to(const Late& late) const {
  WorkQueue& queue = means_->queue;
  if (late.wants_thread && !means_->add_thread()) queue.will_not_come();
  // With the GIL nobody but this thread runs Python: who is in the request now is so all the time.
  const bool is_in = queue.is_in(late.worker, late.turn);
  if (late.warned_only) {
    if (is_in) PyThreadState_SetAsyncExc(late.thread, wsgi::runtime().request_timeout);
    return;
  }
  const auto text = py::reinterpret_steal<py::object>(wsgi::latin1(late.message));
  if (!text) throw py::error_already_set();
  tell_(text, is_in ? late.thread : 0);
}

}  // namespace prowingen::bindings
