// What a request is found again by in other systems: the time at which it came, the trace that it
// belongs to, and a name of its own. Fields of the request, which are set as it comes by, on the
// I/O thread: the application, the access log and whoever answers natively find them in its head.
//
//   X-Request-Start   t=microseconds since the epoch; a proxy's own, if it is believed
//   traceparent       as W3C Trace Context has it: the client's, if it is well-formed, or a new one
//   X-Request-ID      a proxy's own, if it is believed, or a new one
//
// What its client has made up of these, for those in front of it to believe, is thrown away.
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/exchange.h"

namespace prowingen::tracing {

inline constexpr std::string_view request_id_field = "X-Request-ID";
inline constexpr std::string_view trace_parent_field = "traceparent";

/// Those of the request's that its answer has too.
std::vector<std::string_view> marks_of_answers(bool request_id, bool trace_response);

struct Marks {
  bool request_start = false;
  bool trace_context = false;
  bool request_id = false;

  bool any() const { return request_start || trace_context || request_id; }
};

/// Sets them all. Throws std::system_error if the system makes no random numbers.
void set_marks(const Marks& marks, Exchange& exchange);

class Marking final : public RequestSink {
 public:
  /// Throws std::system_error, likewise.
  Marking(const Marks& marks, RequestSink& next);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }

 private:
  const Marks marks_;
  RequestSink& next_;
};

}  // namespace prowingen::tracing
