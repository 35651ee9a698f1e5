// One HTTP transaction: proxygen's callbacks on one side, an exchange on the other.
//
//   onRequest, onBody, onEOM --> exchange --> work queue      pauseIngress/resumeIngress follow the
//   sendHeaders, sendBody, sendEOM <-- exchange               body's watermark, onEgressPaused
//                                                             stops the pulling of output
//   requestComplete, onError: the exchange's one terminal event, and the end of this object
//
// I/O thread only.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "core/refusal.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/http1_codec.h"

namespace prowingen::proxygen_engine {

class Handler final : public px::RequestHandler {
 public:
  Handler(Http1Codec& codec, px::HTTPMessage& message);
  ~Handler() override;

  // ---- proxygen
  void onRequest(std::unique_ptr<px::HTTPMessage> message) noexcept override;
  void onBody(std::unique_ptr<folly::IOBuf> body) noexcept override;
  void onUpgrade(px::UpgradeProtocol) noexcept override {}
  void onEOM() noexcept override;
  void requestComplete() noexcept override;
  void onError(px::ProxygenError error) noexcept override;
  void onEgressPaused() noexcept override { egress_paused_ = true; }
  void onEgressResumed() noexcept override;
  bool canHandleExpect() noexcept override { return true; }

  // ---- the exchange
  void output_ready() { flush(); }
  void body_wanted();
  /// The queue of requests is full.
  void reject();

  // ---- the codec
  px::HTTPSessionBase* session();
  /// More has come behind the request: it is read when this one is answered.
  void hold_input();
  bool holds_input() const { return holds_input_; }
  /// The rest of the request is malformed.
  void refuse(const Refusal& refusal);

 private:
  void dispatch();
  void flush();
  bool take_output();
  void begin_answer(Exchange::Output& output);
  void append_body(std::string& text, std::string_view bytes);
  bool send_next();
  void send_body(std::unique_ptr<folly::IOBuf> body);
  void finish();
  void end_answer();
  void cut();
  void send_refusal(const Refusal& refusal);
  bool decide_keep_alive() const;
  void log(int status, bool complete);

  EventThread& thread_;
  Http1Codec& codec_;
  std::shared_ptr<HandledExchange> exchange_;

  bool continue_due_ = false;
  bool request_done_ = false;
  bool ingress_paused_ = false;
  bool holds_input_ = false;
  bool egress_paused_ = false;
  bool output_finished_ = false;
  bool aborted_ = false;
  bool answered_ = false;      // its end is sent
  bool refused_ = false;       // by us, after the request was accepted
  std::uint64_t discarded_ = 0;
  std::deque<Chunk> pending_;  // taken from the exchange, not yet sent
};

}  // namespace prowingen::proxygen_engine
