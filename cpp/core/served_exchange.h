// An exchange with what both engines keep about it while they serve it. I/O thread only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/exchange.h"
#include "http/response_policy.h"

namespace prowingen {

struct EngineContext;
struct Options;
struct RequestSemantics;

class ServedExchange : public Exchange {
 public:
  using Exchange::Exchange;

  bool keep_alive = true;  // as the client wants it; false once the head said close
  bool submitted = false;
  bool head_written = false;
  ResponseFraming framing = ResponseFraming::none;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;  // as framed for the wire
  std::uint64_t body_bytes_out = 0;
  std::int64_t stream_id = -1;  // of HTTP/2, for the access log; -1: it has none
  /// The body has to be whole before a worker is taken: nobody else asks for it before that.
  bool waits_whole = false;

  /// The status that its answer, which has this one, is sent with.
  int sent_status(int status) const {
    return prowingen::sent_status(status, request.version, may_upgrade, sent_body().opaque);
  }

  // ---- the request's body

  /// Its head is accepted, and a body may follow.
  void expect_body(const RequestSemantics& semantics, const Options& options);
  /// Adds bytes. `pause`: no more until a worker reads; one is to be taken now.
  Intake take_in(std::string_view bytes, const EngineContext& context);
  /// The body is complete. If no worker is on it yet, its length is known to the application.
  void end_body();

  /// The client has closed its side; it may still read.
  void client_finished(SteadyTime now) {
    silent_since_ = now;
    silent_at_ = bytes_out;
  }
  /// What can be known of the client, at the other end of `socket`, while there is nothing to send
  /// to it. `asked_for`: it has closed its side, and is to be sent something that says nothing.
  enum class Client : std::uint8_t { there, gone, asked_for };
  /// `can_be_asked`: there is something of that kind, else it is thought gone after a while.
  Client look_at_client(int socket, SteadyTime now, bool can_be_asked);
  /// On HTTP/1: an interim answer, before the head of the other.
  bool may_be_sent_interim() const { return request.version == HttpVersion{1, 1} && !head_written; }

 protected:
  void renew();

 private:
  SteadyTime silent_since_;      // the client has closed its side, and gets nothing since
  std::uint64_t silent_at_ = 0;  // bytes_out then
  bool was_asked_ = false;
  bool length_declared_ = false;
};

/// For the error log: an answer that could not be completed.
std::string file_too_short(const Exchange& exchange);

/// Exchanges that are over and serve again, their capacities kept.
template <typename Served>
class ExchangePool {
 public:
  std::shared_ptr<Served> make(Transport& transport) {
    if (spares_.empty()) return std::make_shared<Served>(transport);
    auto exchange = std::move(spares_.back());
    spares_.pop_back();
    return exchange;
  }

  void recycle(std::shared_ptr<Served> exchange) {
    // A worker may still be on its way out of it; then it frees it.
    if (exchange.use_count() != 1 || spares_.size() == max_spares) return;
    std::atomic_thread_fence(std::memory_order_acquire);
    exchange->renew();
    spares_.push_back(std::move(exchange));
  }

 private:
  static constexpr std::size_t max_spares = 256;
  std::vector<std::shared_ptr<Served>> spares_;
};

}  // namespace prowingen
