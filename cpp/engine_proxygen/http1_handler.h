// A request of HTTP/1 and its answer, which the connection's codec writes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine_proxygen/handler.h"

namespace prowingen::proxygen_engine {

class Http1Codec;

class Http1Handler final : public Handler, private LoopTimer {
 public:
  explicit Http1Handler(Http1Codec& codec);
  ~Http1Handler() override;

  /// More has come behind the request: it is read when this one is answered, or let in.
  void hold_input();
  void let_input_in();
  bool holds_input() const { return holds_input_; }

 private:
  px::HTTPMessage& begin_answer(Exchange::Output& output) override;
  void send_continue() override;
  bool may_send_interim() const override { return exchange().may_be_sent_interim(); }
  void send_interim(const ResponseHead& head) override;
  void send_trailers(const FieldSection& trailers) override;
  void send_refusal_page(const Refusal& refusal, bool head_only) override;
  void abort_answer() override;
  void on_answer_over() override;
  void half_close() override;
  void give_up_reading() override;
  void drop() override;
  std::uint64_t taken_by_client() const override;
  std::uint64_t held_by_session() const override;
  bool output_waits() const override;
  Moved request_moved() const override;
  Moved answer_moved() const override;
  void await_body() override;
  void stop_awaiting_body() override { cancelTimeout(); }
  void on_request_whole() override { cancelTimeout(); }
  void timeoutExpired() noexcept override;
  bool body_may_follow() const override { return exchange().has_body; }
  bool decide_keep_alive() const;
  void append_body(std::string& text, std::string_view bytes);

  Http1Codec& codec_;
  bool holds_input_ = false;
  std::uint64_t received_then_ = 0;  // when the body's time began
  bool looks_again_ = false;         // it is over, but something had come
};

}  // namespace prowingen::proxygen_engine
