// What an administrators' address is asked that another process answers: whoever has the control
// socket.
//
//   GET  /-/stacks    what each thread is in, for anybody who reaches the address
//   POST /-/control   any command of the control protocol, for who has the token
//
// All other requests go on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "admin/relays.h"
#include "core/engine.h"
#include "core/exchange.h"

namespace prowingen::admin {

class ControlAnswers final : public RequestSink {
 public:
  using Report = std::function<void(Severity, std::string)>;

  /// `token`: empty: there is none, and nothing can be controlled.
  ControlAnswers(RequestSink& next, UniqueFd door, std::string token, Report report)
      : next_(next),
        token_(std::move(token)),
        report_(std::move(report)),
        relays_(std::move(door)) {}

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }
  /// Whether somebody has not heard all of what was asked for.
  bool busy() { return relays_.busy(); }
  /// Cuts what is being answered. After that nothing is begun.
  void stop() { relays_.stop(); }

 private:
  bool answer(Exchange& exchange);
  void show_stacks(Exchange& exchange);
  void control(Exchange& exchange);
  bool is_refused(Exchange& exchange);
  void relay(Exchange& exchange, std::string question);
  void warn_of(const Exchange& exchange);

  RequestSink& next_;
  const std::string token_;
  const Report report_;
  Relays relays_;
  // ---- the I/O thread
  SteadyTime warns_at_;
  std::uint64_t wrong_tokens_ = 0;  // that the log does not tell of yet
};

}  // namespace prowingen::admin
