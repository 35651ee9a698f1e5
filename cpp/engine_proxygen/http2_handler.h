// A request of HTTP/2 and its answer, in proxygen's messages.
#pragma once

#include "engine_proxygen/handler.h"

namespace prowingen::proxygen_engine {

class GuardedSession;
class Http2Codec;

class Http2Handler final : public Handler, private LoopTimer {
 public:
  Http2Handler(EventThread& thread, px::HTTPTransaction& stream, const px::HTTPMessage& message,
               HttpVersion version);
  ~Http2Handler() override;

 private:
  px::HTTPMessage& begin_answer(Exchange::Output& output) override;
  void send_continue() override;
  void send_interim(const ResponseHead& head) override;
  void send_trailers(const FieldSection& trailers) override;
  void send_refusal_page(const Refusal& refusal, bool head_only) override;
  void abort_answer() override;
  void on_answer_over() override;
  void half_close() override;
  void give_up_reading() override { reset(); }
  void drop() override { reset(); }
  std::uint64_t taken_by_client() const override;
  void note_movement() override;
  bool stands_still(SteadyTime now) const override;
  bool output_waits() const override;
  std::uint64_t kept_by_transaction() const override;
  MemoryHolding content_waiting(SteadyTime now) const override;
  Moved request_moved() const override;
  Moved answer_moved() const override;
  void await_body() override;
  void stop_awaiting_body() override;
  void timeoutExpired() noexcept override { on_silent_request(); }
  bool head_may_be_last() const override { return true; }
  bool needs_rest_of_request() const override { return false; }
  bool body_may_follow() const override;
  Verdict check_received(std::uint64_t size) const override;
  void on_request_whole() override;
  void let_client_send(bool may) override;
  void list_standing_fields(bool date, bool server);
  px::HTTPMessage& head_of(int status);
  void await_taking();

  Http2Codec* const codec_;  // of HTTP/2, as the next one is of HTTP/3
  GuardedSession* const guarded_;
  std::unique_ptr<px::HTTPMessage> table_;  // of HTTP/3: the head that is sent
  std::string length_;                      // of the answer, as its field has it
  const std::shared_ptr<StreamsMoved> streams_;
  std::uint64_t counted_received_ = 0;  // in `streams_`
  std::uint64_t counted_taken_ = 0;
  SteadyTime taken_at_ = std::chrono::steady_clock::now();  // or nothing was to be taken
};

}  // namespace prowingen::proxygen_engine
