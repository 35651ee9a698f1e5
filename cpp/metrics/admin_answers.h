// What is answered on an administrator's address, natively: on an engine of its own, whose one I/O
// thread waits for nothing that a client, a worker or the GIL could hold.
//
//   /-/live, /-/ready   see health/health_answers.h, which stands before this
//   /-/, /-/events      see admin/page_answers.h, likewise
//   /-/stacks, /-/control   likewise, see admin/control_answers.h
//   /-/metrics          the figures
//   all else            404, with a list of these
#pragma once

#include <functional>
#include <string>

#include "core/engine.h"
#include "metrics/text.h"

namespace prowingen::metrics {

/// Beneath it is all that an administrator's address has.
inline constexpr std::string_view admin_prefix = "/-";

class AdminAnswers final : public RequestSink {
 public:
  /// `render`: the page of figures in that form. The engine's I/O thread.
  explicit AdminAnswers(std::function<std::string(Form)> render) : render_(std::move(render)) {}

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return {}; }

 private:
  void answer(Exchange& exchange) const;

  const std::function<std::string(Form)> render_;
};

}  // namespace prowingen::metrics
