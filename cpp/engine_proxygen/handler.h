// One HTTP transaction: proxygen's callbacks on one side, an exchange on the other.
//
//   onRequest, onBody, onEOM --> exchange --> work queue      pauseIngress/resumeIngress follow the
//   sendHeaders, sendBody, sendEOM <-- exchange               body's watermark, onEgressPaused
//                                                             stops the pulling of output
//   requestComplete, onError: the exchange's one terminal event, and the end of this object
//
// What depends on the HTTP version, which is how a head is written and what becomes of the
// connection, is a derived class's. I/O thread only.
#pragma once

#include <list>
#include <memory>

#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/rate_watch.h"
#include "http/refusal.h"

namespace prowingen::proxygen_engine {

class Handler : public px::RequestHandler {
 public:
  ~Handler() override;

  // ---- proxygen
  void onRequest(std::unique_ptr<px::HTTPMessage> message) noexcept final;
  void onBody(std::unique_ptr<folly::IOBuf> body) noexcept final;
  void onUpgrade(px::UpgradeProtocol) noexcept final {}
  /// From the adaptor: the request's trailer section.
  void on_trailers(const px::HTTPHeaders& trailers);
  void onEOM() noexcept final;
  void requestComplete() noexcept final;
  void onError(px::ProxygenError error) noexcept final;
  void onEgressPaused() noexcept final;
  void onEgressResumed() noexcept final;
  bool canHandleExpect() noexcept final { return true; }

  // ---- the exchange
  void output_ready();
  void body_wanted();
  /// A worker has nothing to send, and wants to know whether it should go on.
  void client_doubted();
  /// The queue of requests is full.
  void reject();
  /// The rest of the request is malformed or too large.
  void refuse(const Refusal& refusal);

  // ---- memory
  /// The budget may have room again: read on.
  void memory_freed();
  /// Now and then: what its client has taken meanwhile, and whether it is waited for.
  void look_at_reader();
  /// Whether its client has taken nothing for write_timeout, where the session does not look.
  virtual bool stands_still(SteadyTime) const { return false; }
  void on_late_reader() { cut_off(Departure::write_timeout); }
  /// How much it holds for a client that does not get on, and for how long; 0: nothing.
  MemoryHolding memory_held(SteadyTime now) const;
  /// Gives up what it holds, since memory is short. False: that has become less since it was looked
  /// at; a worker has taken the request meanwhile, or the client the answer.
  bool give_up(std::uint64_t held_then);

  /// It has left output to the exchange, since the client does not read what there is: to be told
  /// again of it.
  bool is_held_back() const { return held_back_ && !answered_; }

  const std::shared_ptr<HandledExchange>& shared_exchange() const { return exchange_; }

  // Its place in the event thread's list.
  std::size_t index = 0;

 protected:
  /// What may wait for the socket of a client before more is left to the exchanges: the heads of
  /// all the streams that it may have, each as large as most servers let them be.
  static constexpr std::size_t most_output = std::size_t{1} << 20;

  /// The request is in the exchange, or its `refusal` is.
  Handler(EventThread& thread, std::shared_ptr<HandledExchange> exchange);

  /// Prepares the head, and takes from the output what goes out with it. The message is sent.
  virtual px::HTTPMessage& begin_answer(Exchange::Output& output) = 0;
  /// Sends the interim answer 100.
  virtual void send_continue() = 0;
  /// Whether one may be sent to learn whether the client is there.
  virtual bool may_send_interim() const { return false; }
  /// Sends another one.
  virtual void send_interim(const ResponseHead& head) = 0;
  /// Sends what follows the content, whose end is sent next.
  virtual void send_trailers(const FieldSection& trailers) = 0;
  /// Sends the head of a refusal, and its page unless `head_only`.
  virtual void send_refusal_page(const Refusal& refusal, bool head_only) = 0;
  /// Ends an answer, whose head may be out, so that it does not look whole.
  virtual void abort_answer() = 0;
  /// The answer is handed over, the request perhaps not yet whole.
  virtual void on_answer_over() = 0;
  /// Of another protocol: nothing more is sent, and what comes is read.
  virtual void half_close() {}
  /// Ends the connection, or the stream, at once.
  virtual void drop() = 0;
  /// More of an answered request comes than is worth reading, or it is malformed.
  virtual void give_up_reading() = 0;
  /// Whether the head of an answer without content is the end of it.
  virtual bool head_may_be_last() const { return false; }
  /// Whether a request has to come to its end even if its answer is whole: where the next one comes
  /// behind it.
  virtual bool needs_rest_of_request() const { return true; }
  /// Whether a request may go on after its head.
  virtual bool body_may_follow() const = 0;
  /// Checks the size of the body so far.
  virtual Verdict check_received(std::uint64_t) const { return nullptr; }
  /// More of a body is waited for: from now on, or again as some has come.
  virtual void await_body() = 0;
  /// Nothing is, as the server itself does not read.
  virtual void stop_awaiting_body() {}
  virtual void on_request_whole() {}
  /// The transaction is paused, or about to go on, where that holds nobody up by itself.
  virtual void let_client_send(bool) {}
  /// Of what was sent, what the client has taken, as far as that is known.
  virtual std::uint64_t taken_by_client() const = 0;
  /// A piece of a body has come, or the client may have taken one.
  virtual void note_movement() {}
  /// What min_rate is about: see Moved.
  virtual Moved request_moved() const = 0;
  virtual Moved answer_moved() const = 0;
  /// More is ready to be sent on the connection than its client reads: nothing is added.
  virtual bool output_waits() const { return false; }
  /// What else is held for this answer in memory.
  virtual std::uint64_t held_by_session() const { return 0; }
  /// Content of the request that the transaction keeps, where nobody else charges it.
  virtual std::uint64_t kept_by_transaction() const { return 0; }
  /// Content of the request that has come, and is not read as memory is short, or a worker slow.
  virtual MemoryHolding content_waiting(SteadyTime) const { return {}; }

  EventThread& thread() { return thread_; }
  const EventThread& thread() const { return thread_; }
  HandledExchange& exchange() { return *exchange_; }
  const HandledExchange& exchange() const { return *exchange_; }
  px::HTTPTransaction& transaction() const { return *downstream_->getTransaction(); }
  bool request_done() const { return request_done_; }
  std::uint64_t received() const { return received_; }
  bool was_reset() const { return was_reset_; }
  bool continue_due() const { return continue_due_; }
  /// The end of an answer, and perhaps of this object.
  void end_answer();
  /// The end of what is sent, once.
  void end_sending();
  void reset();
  void resume_reading();
  /// No byte of a body has come within body_timeout.
  void on_silent_request();

 private:
  void dispatch();
  void pause_reading();
  void stop_awaiting_request();
  void await_more();
  void flush();
  bool held_back();
  bool take_output();
  void send_head(px::HTTPMessage& head);
  bool send_next();
  void send_body(std::unique_ptr<folly::IOBuf> body);
  void finish();
  bool is_half_closed() const;
  void cut();
  void send_refusal(const Refusal& refusal);
  void refuse(const Refusal& refusal, Departure why);
  bool reads_on_in_shortage() const;
  void on_slow_request();
  void on_slow_reader();
  void cut_off(Departure why);
  void await_request();
  void await_reader();
  std::uint64_t outgoing() const;
  void settle_charge();
  void log(int status, bool complete);

  EventThread& thread_;
  std::shared_ptr<HandledExchange> exchange_;

  bool continue_due_ = false;
  bool request_done_ = false;
  bool ingress_paused_ = false;
  bool egress_paused_ = false;
  bool held_back_ = false;  // output is left to the exchange for now
  bool output_finished_ = false;
  bool aborted_ = false;
  bool end_sent_ = false;  // it may go with the head
  bool answered_ = false;  // its end is sent
  bool was_reset_ = false;
  bool refused_ = false;        // by us, after the request was accepted
  std::uint64_t received_ = 0;  // of the body
  std::uint64_t discarded_ = 0;
  // Taken from the exchange, not yet sent. A list allocates nothing while it is empty, which it is
  // in an answer that goes out with its head.
  std::list<Chunk> pending_;
  std::uint64_t pending_memory_ = 0;
  // Of what the transaction was given, so much at the end is memory that its lender bounds.
  std::uint64_t lent_last_ = 0;
  bool awaits_memory_ = false;  // and so the reading is paused
  SteadyTime awaits_memory_since_;
  // Made when the client is first waited for, which it is not in most requests.
  std::unique_ptr<RateWatch> request_rate_;
  std::unique_ptr<RateWatch> answer_rate_;
  MemoryCharge charge_;  // what is pending, here and in the transaction, both ways
};

}  // namespace prowingen::proxygen_engine
