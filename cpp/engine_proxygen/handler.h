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

#include "core/refusal.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/http1_gate.h"

namespace prowingen::proxygen_engine {

class Handler final : public px::RequestHandler {
 public:
  Handler(Http1Gate& gate, px::HTTPMessage& message);
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

  // ---- the gate
  /// More has come behind the request: it is read when this one is answered.
  void hold_input() { downstream_->pauseIngress(); }
  /// The rest of the request is malformed.
  void refuse(const Refusal& refusal);

 private:
  void dispatch();
  void flush();
  bool take_output();
  void send_head();
  void send_pending();
  void send_file_piece();
  void finish();
  void cut();
  void send_refusal(const Refusal& refusal);
  bool keeps_alive() const;
  void log(int status, bool complete);

  EventThread& thread_;
  Http1Gate& gate_;
  const Refusal* refusal_ = nullptr;
  bool client_keeps_alive_ = false;
  bool continue_due_ = false;
  std::uint64_t body_left_ = 0;  // announced by Content-Length and not yet received
  std::uint64_t discarded_ = 0;
  std::shared_ptr<HandledExchange> exchange_;

  bool request_done_ = false;
  bool ingress_paused_ = false;
  bool egress_paused_ = false;
  bool output_finished_ = false;
  bool aborted_ = false;
  bool answered_ = false;      // sendEOM or sendAbort was called
  bool refused_ = false;       // by us, after the request was accepted
  std::deque<Chunk> pending_;  // taken from the exchange, not yet sent
};

}  // namespace prowingen::proxygen_engine
