// An exchange of HTTP/2: one stream. I/O thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "core/chunk.h"
#include "core/engine.h"
#include "engine_embedded/connection_exchange.h"
#include "engine_embedded/deadlines.h"
#include "http2/session.h"

namespace prowingen::embedded {

class Http2Exchange final : public ConnectionExchange, public http2::Stream {
 public:
  explicit Http2Exchange(Transport& transport)
      : ConnectionExchange(transport), charge_(transport.memory().get()) {}
  void renew();

  // ---- the request
  bool continue_due = false;  // 100 Continue is due when its body is first read
  std::uint64_t body_bytes_in = 0;
  std::uint64_t discarded = 0;  // of that, what came when nobody wanted it any more
  /// Its client is to go on with it.
  bool awaits_body() const {
    return !may_upgrade && !request_whole && !continue_due && unconsumed == 0 && refused == 0 &&
           !framed && !output_finished_;
  }

  // ---- the answer
  /// Its last frame is made: nothing of it waits any more but for the socket.
  bool framed = false;
  std::uint64_t end_at = 0;  // then, bytes of the connection that are sent when it is
  /// Of a request that was refused, the status of the server's own answer; else 0.
  int refused = 0;
  /// For the access log; 0: none was sent.
  int status() const {
    if (refused != 0 || !answer_begun) return refused;
    return sent_status(response.status);
  }
  /// All is said in another protocol, and its client still heard.
  bool half_closed = false;
  bool aborted = false;
  /// Takes what a worker has made meanwhile, if all that was taken before is gone.
  void fetch(Output& output);
  void add(Output& output);
  /// A page of the server's own.
  void set_page(std::string page);
  http2::Offer offer(std::size_t most) const;
  /// Appends `size` bytes of what waits. False: a file has become too short.
  bool take(std::size_t size, std::string& out);
  /// Something was taken of the exchange that is not framed.
  bool has_output() const { return !chunks_.empty(); }
  std::uint64_t waiting_memory() const { return charge_.bytes(); }

  Deadline read_deadline;
  Deadline write_deadline;

  // Place in the connection's list.
  std::size_t index = 0;

 private:
  std::uint64_t waiting() const;
  void settle_charge();

  std::deque<Chunk> chunks_;  // taken from the exchange, not yet framed
  std::size_t offset_ = 0;    // of the first, what is framed, unless it is a file
  bool output_finished_ = false;
  MemoryCharge charge_;  // of chunks_
};

}  // namespace prowingen::embedded
