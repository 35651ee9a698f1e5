// Probes are answered by the I/O thread that read them, without a worker and without the GIL: they
// are about the workers, and must not wait for one.
//
//   PREFIX/live   200: the process takes connections, and answers
//   PREFIX/ready  200: it should be given requests; 503: it should not, and why
//
// All other requests go on.
#pragma once

#include <functional>
#include <string>

#include "core/engine.h"
#include "health/readiness.h"

namespace prowingen::health {

class HealthAnswers final : public RequestSink {
 public:
  /// `look`: what stands in the way of this server now; `none` while any of its processes is ready.
  HealthAnswers(const std::string& prefix, RequestSink& next, std::function<Obstacle()> look);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }

 private:
  bool answer(Exchange& exchange) const;

  const std::string live_;
  const std::string ready_;
  RequestSink& next_;
  const std::function<Obstacle()> look_;
};

}  // namespace prowingen::health
