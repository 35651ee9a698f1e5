// The writing side of a connection: from answers to bytes, in the order of the requests.
#include "core/copying.h"
#include "core/unacknowledged.h"
#include "engine_embedded/http1_connection.h"
#include "engine_embedded/io_thread.h"
#include "engine_embedded/socket_ops.h"
#include "http1/response_writer.h"

namespace prowingen::embedded {
namespace {

// Output taken from exchanges before the socket took some of it.
constexpr std::size_t out_queue_limit = std::size_t{256} * 1024;

}  // namespace

void Http1Connection::flush() {
  if (waiting_writable_ || closed()) return;
  std::uint64_t written = 0;
  while (collect()) {
    const auto result = write_out(written);
    if (result == OutQueue::Result::file_too_short) {
      if (!pipeline_.empty()) {
        io_.context().report(Severity::error, file_too_short(*pipeline_.front()));
      }
      return close(Departure::client_closed);
    }
    if (result != OutQueue::Result::all_written) return;
    if (taken_ != 0) complete_taken();
    if (ending_) break;
    if (turn_is_over(written) && !pipeline_.empty()) return wait_writable();
  }
  if (all_sent()) {
    writing_pace_.rest();
    disarm(write_deadline_);
    if (!pipeline_.empty() && is_half_closed(*pipeline_.front())) half_close();
    after_answer();
  }
}

// The fuller the memory budget, the less of a slow reader's answer is taken off its worker.
bool Http1Connection::has_room_for_output() const {
  if (out_.empty()) return true;
  const auto size = out_.size();
  return size < MemoryBudget::answer_floor ||
         size < io_.context().memory->answer_room(out_queue_limit);
}

// Moves output of the exchanges whose turn it is into out_. False: there is nothing to write.
bool Http1Connection::collect() {
  if (taken_ != 0 && !pipeline_[taken_ - 1]->keep_alive) return true;  // nothing follows that one
  while (taken_ < pipeline_.size() && has_room_for_output()) {
    Http1Exchange& exchange = *pipeline_[taken_];
    auto& output = io_.output();
    exchange.take_output(output);
    frame(exchange, output);
    if (reading_ == Reading::opaque && !carried_.empty()) consume_input();  // it came too early
    const bool finished = output.finished;
    const bool aborted = output.aborted;
    output.clear();
    if (aborted) {
      last_answer_ = true;
      reset_on_close_ = ends_with_connection(exchange.framing) || !exchange.head_written;
      exchange.keep_alive = false;
      ++taken_;
      break;
    }
    if (!finished) break;
    exchange.output_over = true;
    if (is_half_closed(exchange)) break;
    ++taken_;
    if (!exchange.keep_alive) break;  // nothing after it is answered
  }
  return !all_sent() || taken_ != 0;
}

void Http1Connection::frame(Http1Exchange& exchange, Exchange::Output& output) {
  const auto before = out_.size();
  for (const ResponseHead& head : output.interim) http1::write_interim(head, out_.text());
  if (output.head) {
    exchange.framing = frame_response(exchange.request.version, exchange.sent_body());
    exchange.keep_alive = decide_keep_alive(exchange);
    if (exchange.may_upgrade) settle_upgrade(pipeline_[taken_]);
    if (!exchange.keep_alive) {
      last_answer_ = true;
      if (reading_ == Reading::head) {
        // Our own decision: the client may have sent its next request before it learns of it.
        reading_ = Reading::done;
        unread_input_ = true;
      }
    }
    exchange.head_written = true;
    http1::write_head(exchange, exchange.framing, exchange.keep_alive, io_.standing(), out_.text());
  }
  if (exchange.framing != ResponseFraming::none) {
    for (auto& chunk : output.chunks) {
      const auto size = chunk.size();
      exchange.body_bytes_out += size;
      const bool chunked = exchange.framing == ResponseFraming::chunked;
      if (chunked) http1::write_chunk_header(size, out_.text());
      if (std::string* own = chunk.own()) {
        append_octets(out_.text(), *own);
      } else {
        out_.add(std::move(chunk));
      }
      if (chunked) out_.text().append("\r\n");
    }
    if (output.finished && exchange.framing == ResponseFraming::chunked) {
      http1::write_last_chunk(exchange.sent_trailers(), out_.text());
    }
  }
  exchange.bytes_out += out_.size() - before;
}

// What follows the request is read from here on, as what the answer says.
void Http1Connection::settle_upgrade(const ExchangePtr& exchange) {
  if (reading_ != Reading::undecided) return;
  if (exchange->framing == ResponseFraming::opaque) {
    incoming_ = exchange;
    reading_ = Reading::opaque;
  } else {
    reading_ = last_answer_ ? Reading::done : Reading::head;
  }
}

// The worker has said all that it has to say in another protocol, and still reads.
bool Http1Connection::is_half_closed(const Http1Exchange& exchange) const {
  return exchange.output_over && exchange.framing == ResponseFraming::opaque &&
         reading_ == Reading::opaque && exchange.wants_input();
}

void Http1Connection::half_close() {
  channel_.finish();
  channel_.flushed() ? channel_.shut_down_writing() : wait_writable();
}

bool Http1Connection::decide_keep_alive(const Http1Exchange& exchange) const {
  if (!exchange.keep_alive || exchange.sent_head().closes) return false;
  if (ends_with_connection(exchange.framing)) return false;
  if (refuses_tunnel(exchange.request, exchange.sent_body())) return false;
  // What has been accepted is still answered; only the last answer says that no more will be.
  const bool last = pipeline_.back().get() == &exchange && !held_;
  const bool none_awaited = io_.options().keep_alive_timeout == 0;
  if (last && (io_.draining() || peer_finished_ || none_awaited)) return false;
  if (incoming_.get() == &exchange && reading_ == Reading::body) {
    // The body is not read to its end. A client that waits for 100 may never send it, and more
    // than drain_limit of it is not worth reading.
    if (continue_due_) return false;
    if (exchange.body_left && *exchange.body_left > io_.options().drain_limit) return false;
  }
  return true;
}

void Http1Connection::complete_taken() {
  const auto completed = std::exchange(taken_, 0);
  for (std::size_t i = 0; i < completed; ++i) {
    ExchangePtr& exchange = pipeline_[i];
    const bool aborted = exchange->state() == ExchangeState::aborted;
    if (!aborted) exchange->written();
    log(*exchange, exchange->sent_head().status, !aborted);
    exchange->connection = nullptr;
    if (!exchange->keep_alive) ending_ = true;
    if (incoming_ == exchange && reading_ == Reading::opaque) {
      incoming_.reset();  // what else comes nobody reads
    } else if (incoming_ == exchange) {
      // Answered before its body was read: the rest is thrown away, up to a bound.
      incoming_.reset();
      pause_ = Pause::none;
      reading_ = Reading::discard;
      discard_left_ = io_.options().drain_limit + 1;
      arm(read_deadline_, Timeout::body);
    }
    io_.recycle(std::move(exchange));
  }
  pipeline_.erase(pipeline_.begin(), pipeline_.begin() + static_cast<std::ptrdiff_t>(completed));
}

// Everything that could be written is: what comes next on this connection?
void Http1Connection::after_answer() {
  if (closed() || lingers() || !all_sent()) return;
  if (ending_) return shut_down_gracefully();
  if (pipeline_.empty()) {
    if (held_) {
      submit(std::exchange(held_, nullptr));
      if (closed()) return;
    } else if (refusal_ != nullptr) {
      return send_refusal();
    } else if (last_answer_ && !(incoming_ && reading_ == Reading::body)) {
      return shut_down_gracefully();
    } else if (continue_due_ && incoming_ && incoming_->waits_whole) {
      resume_body(*incoming_);
    } else if (reading_ == Reading::head && carried_.empty() && !read_deadline_.armed()) {
      idle_since_ = io_.now();
      io_.deadlines().arm(read_deadline_, io_.draining() ? Timeout::drain : Timeout::keep_alive,
                          io_.now());
    }
  }
  if (pause_ == Pause::pipeline && !held_ && pipeline_.size() < io_.options().pipeline_depth) {
    pause_ = Pause::none;
  }
  if (pause_ == Pause::none && !carried_.empty()) consume_input();
}

}  // namespace prowingen::embedded
