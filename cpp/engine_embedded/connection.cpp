#include "engine_embedded/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/access_log.h"
#include "engine_embedded/io_thread.h"
#include "engine_embedded/socket_ops.h"

namespace prowingen::embedded {
namespace {

// A turn of one connection; what is left waits until the others had theirs.
constexpr std::uint64_t write_turn = 1024 * 1024;
// Output taken from exchanges before the socket took some of it.
constexpr std::uint64_t out_queue_limit = 256 * 1024;
// An idle connection that was used this recently may have a request on its way.
constexpr auto drain_grace = std::chrono::seconds(1);

constexpr Refusal queue_full{503, "Service Unavailable",
                             "every worker is busy and the queue is full", ""};

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

}  // namespace

Connection::Connection(IoThread& io, int socket, unsigned listener,
                       std::shared_ptr<const ConnectionInfo> info)
    : io_(io),
      descriptor_(io.loop(), socket),
      info_(std::move(info)),
      listener_(listener),
      out_(io.spare_text()) {
  read_deadline_.connection = write_deadline_.connection = this;
}

Connection::~Connection() {
  io_.deadlines().disarm(read_deadline_);
  io_.deadlines().disarm(write_deadline_);
}

void Connection::start() {
  idle_since_ = io_.now();
  io_.deadlines().arm(read_deadline_, Timeout::header, io_.now());
  wait_readable();
}

// ---------------------------------------------------------------------------- reading

void Connection::wait_readable() {
  if (waiting_readable_ || peer_finished_ || reading_ == Reading::closed) return;
  waiting_readable_ = true;
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waiting_readable_ = false;
                           if (!error) self->on_readable();
                         });
}

void Connection::on_readable() {
  if (reading_ == Reading::closed || pause_ != Pause::none || reading_ == Reading::done) return;
  io_.advance_clock();
  const auto buffer = io_.read_buffer();
  const Transfer transfer = receive(descriptor_.native_handle(), buffer);
  switch (transfer.status) {
    case Transfer::Status::would_block: return wait_readable();
    case Transfer::Status::failed: return close(Departure::client_closed);
    case Transfer::Status::end_of_stream: return on_end_of_stream();
    case Transfer::Status::ok: break;
  }
  const auto self = shared_from_this();  // what follows may close the connection
  const std::string_view input(buffer.data(), transfer.bytes);
  if (reading_ == Reading::linger) {
    if (transfer.bytes >= discard_left_) return close(Departure::client_closed);
    discard_left_ -= transfer.bytes;
  } else if (carried_.empty()) {
    const std::size_t used = consume(input);
    if (reading_ == Reading::closed) return;
    if (reading_ != Reading::linger) carried_.assign(input.substr(used));
  } else {
    carried_.append(input);
    consume_input();
  }
  resume_reading();
  io_.check_mailbox();
}

void Connection::consume_input() {
  // Moved out, so that what the input sets off cannot change it underfoot. An idle connection is
  // left with no buffer.
  std::string input = std::exchange(carried_, {});
  const std::size_t used = consume(input);
  if (used == input.size() || reading_ == Reading::closed || reading_ == Reading::linger) return;
  input.erase(0, used);
  carried_ = std::move(input);
}

void Connection::resume_reading() {
  if (pause_ == Pause::none && reading_ != Reading::done) wait_readable();
}

std::size_t Connection::consume(std::string_view input) {
  std::size_t used = 0;
  while (used < input.size() && pause_ == Pause::none) {
    const auto rest = input.substr(used);
    std::size_t step = 0;
    if (reading_ == Reading::head) {
      step = consume_head(rest);
    } else if (reading_ == Reading::body || reading_ == Reading::discard) {
      step = consume_body(rest);
    }
    if (step == 0) break;
    used += step;
    scanned_ = 0;
  }
  return used;
}

std::size_t Connection::consume_head(std::string_view input) {
  // Empty lines before a request line are skipped (RFC 9112 section 2.2).
  if (input.starts_with("\r\n")) return 2;
  if (!pipeline_.empty() && pipeline_.size() >= io_.options().pipeline_depth) {
    pause_ = Pause::pipeline;
    return 0;
  }
  // Looked at before the line is parsed: the same line gets the same answer however it came.
  const auto first_line = input.substr(0, input.find('\n'));
  if (first_line.size() > io_.limits().max_request_line + 1) {
    incoming_ = io_.make_exchange();
    refuse(refusal(RequestFault::request_line_too_long));
    return input.size();
  }
  // A head is tried again when a further line has come in: a parser that starts over each time
  // cannot care where the input was cut.
  if (std::memchr(input.data() + scanned_, '\n', input.size() - scanned_) == nullptr) {
    scanned_ = input.size();
    if (input.size() > io_.limits().max_request_line + io_.limits().max_header_bytes) {
      incoming_ = io_.make_exchange();
      refuse(refusal(RequestFault::header_too_large));
      return input.size();
    }
  } else {
    incoming_ = io_.make_exchange();
    parser_.emplace(incoming_->request, io_.limits(), static_cast<BodySink&>(*this));
    const auto progress = parser_->parse_head(input);
    switch (progress.outcome) {
      case RequestParser::Outcome::refused: refuse(*progress.verdict); return input.size();
      case RequestParser::Outcome::need_more:
        io_.recycle(std::move(incoming_));
        scanned_ = input.size();
        break;
      case RequestParser::Outcome::head_done:
      case RequestParser::Outcome::request_done:
        incoming_->head_size = progress.consumed;
        on_head(progress.outcome == RequestParser::Outcome::request_done);
        return progress.consumed;
    }
  }
  if (read_deadline_.kind != Timeout::header || !read_deadline_.armed()) {
    io_.deadlines().arm(read_deadline_, Timeout::header, io_.now());
  }
  return 0;
}

void Connection::on_head(bool request_done) {
  Http1Exchange& exchange = *incoming_;
  RequestSemantics semantics;
  if (auto verdict = check_header_section(exchange.request, io_.limits(), semantics)) {
    return refuse(*verdict);
  }
  ++requests_;
  exchange.peer = info_;
  exchange.listener = listener_;
  exchange.received_at = io_.now();
  exchange.keep_alive = semantics.keep_alive;
  exchange.bytes_in = exchange.head_size;
  exchange.connection = this;
  exchange.safe = request_done && is_safe(exchange.request.method());
  io_.deadlines().disarm(read_deadline_);
  if (!semantics.keep_alive) last_answer_ = true;
  if (request_done) {
    on_body_end();
    return;
  }
  reading_ = Reading::body;
  exchange.has_body = true;
  exchange.expects_continue = continue_due_ = semantics.expects_continue;
  if (semantics.framing == BodyFraming::content_length) {
    exchange.body_left = semantics.content_length;
    exchange.reserve_body(static_cast<std::size_t>(
        std::min<std::uint64_t>(semantics.content_length, io_.options().body_buffer)));
  }
  if (continue_due_) {
    // The client may be waiting for the application to ask for the body.
    dispatch(incoming_);
  } else {
    io_.deadlines().arm(read_deadline_, Timeout::body, io_.now());
  }
}

std::size_t Connection::consume_body(std::string_view input) {
  const auto progress = parser_->parse_body(input);
  if (reading_ == Reading::linger || reading_ == Reading::closed) return progress.consumed;
  if (incoming_) incoming_->bytes_in += progress.consumed;
  switch (progress.outcome) {
    case RequestParser::Outcome::refused: refuse(*progress.verdict); return input.size();
    case RequestParser::Outcome::request_done: on_body_end(); break;
    case RequestParser::Outcome::need_more:
    case RequestParser::Outcome::head_done:
      if (progress.consumed != 0 && reading_ == Reading::body && pause_ == Pause::none) {
        io_.deadlines().arm(read_deadline_, Timeout::body, io_.now());
      }
      break;
  }
  return progress.consumed;
}

void Connection::on_body(std::string_view bytes) {
  if (reading_ == Reading::discard) {
    discard_left_ -= std::min<std::uint64_t>(discard_left_, bytes.size());
    if (discard_left_ == 0) shut_down_gracefully();
    return;
  }
  continue_due_ = false;
  Http1Exchange& exchange = *incoming_;
  if (exchange.body_left) *exchange.body_left -= bytes.size();
  if (exchange.append_body(bytes, io_.options().body_buffer) == Exchange::Intake::pause) {
    // More than a worker is spared: from here on it takes part.
    pause_ = Pause::body;
    io_.deadlines().disarm(read_deadline_);
    if (!exchange.submitted && held_ != incoming_) dispatch(incoming_);
  }
}

void Connection::on_body_end() {
  io_.deadlines().disarm(read_deadline_);
  if (pause_ == Pause::body) pause_ = Pause::none;
  const auto exchange = std::move(incoming_);
  incoming_.reset();
  reading_ = last_answer_ ? Reading::done : Reading::head;
  continue_due_ = false;
  if (!exchange) {  // a discarded body: its exchange is over
    after_answer();
    return;
  }
  exchange->body_left = 0;
  exchange->finish_body();
  if (held_ == exchange) {
    if (reading_ == Reading::head) pause_ = Pause::pipeline;
  } else if (!exchange->submitted) {
    dispatch(exchange);
  }
}

void Connection::on_end_of_stream() {
  peer_finished_ = true;
  if (reading_ == Reading::linger) return close(Departure::client_closed);
  if (reading_ == Reading::body && incoming_ && !incoming_->submitted) {
    return refuse(refusal(RequestFault::truncated));
  }
  if (reading_ == Reading::body || reading_ == Reading::discard) {
    return close(Departure::client_closed);  // the body can no longer be completed
  }
  if (!carried_.empty()) {
    // Half a head: whoever sent it may still read.
    incoming_ = io_.make_exchange();
    carried_.clear();
    return refuse(refusal(RequestFault::truncated));
  }
  // A client may close its side after its last request and still wait for the answers.
  reading_ = Reading::done;
  last_answer_ = true;
  if (pipeline_.empty() && !held_) close(Departure::client_closed);
}

void Connection::body_wanted(Http1Exchange& exchange) {
  if (incoming_.get() != &exchange || reading_ != Reading::body) return;
  if (continue_due_ && !exchange.head_written) {  // an interim answer comes before the final one
    continue_due_ = false;
    out_.text().append(continue_response);
    flush();
    if (reading_ == Reading::closed) return;
  }
  io_.deadlines().arm(read_deadline_, Timeout::body, io_.now());
  if (pause_ == Pause::body) {
    pause_ = Pause::none;
    consume_input();
    if (reading_ != Reading::closed) resume_reading();
  }
}

// ---------------------------------------------------------------------------- handing over

void Connection::dispatch(ExchangePtr exchange) {
  const bool ahead = exchange->safe &&
                     std::ranges::all_of(pipeline_, [](const auto& other) { return other->safe; });
  if (!pipeline_.empty() && !ahead) {
    held_ = std::move(exchange);
    if (pause_ == Pause::none && reading_ == Reading::head) pause_ = Pause::pipeline;
    return;
  }
  submit(exchange);
}

void Connection::submit(const ExchangePtr& exchange) {
  pipeline_.push_back(exchange);
  exchange->submitted = true;
  io_.submit(exchange);
}

void Connection::reject(Http1Exchange& exchange) {
  const auto found =
      std::ranges::find_if(pipeline_, [&](const auto& other) { return other.get() == &exchange; });
  if (found == pipeline_.end()) return;
  // Those behind it are not answered either: the connection closes after the 503.
  auto rejected = *found;
  for (auto later = found; later != pipeline_.end(); ++later) abandon(**later, Departure::none);
  pipeline_.erase(found, pipeline_.end());
  if (held_) abandon(*std::exchange(held_, nullptr), Departure::none);
  if (incoming_) abandon(*incoming_, Departure::none);
  incoming_ = std::move(rejected);
  incoming_->submitted = false;
  refuse(queue_full);
}

// The exchange's answer is not wanted any more.
void Connection::abandon(Http1Exchange& exchange, Departure why) {
  exchange.depart(why);
  exchange.connection = nullptr;
}

void Connection::refuse(const Refusal& refusal) {
  io_.count_refusal();
  refusal_ = &refusal;
  refused_ = std::move(incoming_);
  incoming_.reset();
  if (held_ == refused_) held_.reset();  // its body never came to its end
  const bool body_failed = reading_ == Reading::body;
  reading_ = Reading::done;
  last_answer_ = unread_input_ = true;
  io_.deadlines().disarm(read_deadline_);
  if (refused_ && refused_->received_at == SteadyTime()) refused_->received_at = io_.now();
  if (body_failed && refused_ && refused_->submitted) {
    // A worker is on it. If no answer has begun the refusal is the answer.
    refused_->depart(&refusal == &prowingen::refusal(RequestFault::body_too_large)
                         ? Departure::body_too_large
                         : Departure::malformed_body);
    refused_->connection = nullptr;
    const bool begun = refused_->head_written;
    std::erase(pipeline_, refused_);  // it was alone in it, as every request with a body
    taken_ = 0;
    if (begun) {
      log(*refused_, refused_->response.status, false);
      refused_.reset();
      refusal_ = nullptr;
      reset_on_close_ = true;
      if (pipeline_.empty()) return close(Departure::malformed_body);
      return;
    }
  }
  if (pipeline_.empty() && !held_) send_refusal();
}

void Connection::send_refusal() {
  const Refusal& refusal = *std::exchange(refusal_, nullptr);
  const bool head = refused_ && refused_->request.method() == "HEAD";
  const auto before = out_.size();
  write_refusal(refusal, !head, refusal.status == 503 ? "Retry-After: 1\r\n" : "", io_.standing(),
                out_.text());
  if (refused_) {
    refused_->bytes_out = out_.size() - before;
    refused_->body_bytes_out = head ? 0 : refusal_body_size(refusal);
    log(*refused_, refusal.status, true);
    refused_.reset();
  }
  flush();
}

// ---------------------------------------------------------------------------- writing

void Connection::flush() {
  if (waiting_writable_ || reading_ == Reading::closed) return;
  std::uint64_t written = 0;
  while (collect()) {
    const auto result = out_.write(descriptor_.native_handle(), written);
    if (result == OutQueue::Result::failed) return close(Departure::client_closed);
    if (result == OutQueue::Result::would_block) return wait_writable();
    io_.deadlines().disarm(write_deadline_);
    if (taken_ != 0) complete_taken();
    if (answers_over_) break;
    if (written >= write_turn && !pipeline_.empty()) return wait_writable();
  }
  if (out_.empty()) {
    io_.deadlines().disarm(write_deadline_);
    after_answer();
  }
}

void Connection::wait_writable() {
  waiting_writable_ = true;
  unacknowledged_ = unacknowledged_bytes(descriptor_.native_handle());
  io_.deadlines().arm(write_deadline_, Timeout::write, io_.now());
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waiting_writable_ = false;
                           if (error) return;
                           self->io_.advance_clock();
                           self->flush();
                           self->io_.check_mailbox();
                         });
}

// Moves output of the exchanges whose turn it is into out_. False: there is nothing to write.
bool Connection::collect() {
  if (taken_ != 0 && !pipeline_[taken_ - 1]->keep_alive) return true;  // nothing follows that one
  while (taken_ < pipeline_.size() && out_.size() < out_queue_limit) {
    Http1Exchange& exchange = *pipeline_[taken_];
    auto& output = io_.output();
    exchange.take_output(output);
    frame(exchange, output);
    const bool finished = output.finished;
    const bool aborted = output.aborted;
    output.clear();
    if (aborted) {
      last_answer_ = true;
      reset_on_close_ = exchange.framing == ResponseFraming::until_close || !exchange.head_written;
      exchange.keep_alive = false;
      ++taken_;
      break;
    }
    if (!finished) break;
    ++taken_;
    if (!exchange.keep_alive) break;  // nothing after it is answered
  }
  return !out_.empty() || taken_ != 0;
}

void Connection::frame(Http1Exchange& exchange, Exchange::Output& output) {
  const auto before = out_.size();
  if (output.head) {
    exchange.framing = frame_response(exchange.request.version, exchange.response_body);
    exchange.keep_alive = decide_keep_alive(exchange);
    if (!exchange.keep_alive) {
      last_answer_ = true;
      if (reading_ == Reading::head) {
        // Our own decision: the client may have sent its next request before it learns of it.
        reading_ = Reading::done;
        unread_input_ = true;
      }
    }
    exchange.head_written = true;
    write_head(exchange, exchange.framing, exchange.keep_alive, io_.standing(), out_.text());
  }
  if (exchange.framing != ResponseFraming::none) {
    for (auto& chunk : output.chunks) {
      const auto size = chunk.size();
      exchange.body_bytes_out += size;
      const bool chunked = exchange.framing == ResponseFraming::chunked;
      if (chunked) write_chunk_header(size, out_.text());
      if (std::string* own = chunk.own()) {
        out_.text().append(*own);
      } else {
        out_.add(std::move(chunk));
      }
      if (chunked) out_.text().append("\r\n");
    }
    if (output.finished && exchange.framing == ResponseFraming::chunked) {
      out_.text().append(last_chunk);
    }
  }
  exchange.bytes_out += out_.size() - before;
}

bool Connection::decide_keep_alive(const Http1Exchange& exchange) const {
  if (!exchange.keep_alive || exchange.framing == ResponseFraming::until_close) return false;
  // What has been accepted is still answered; only the last answer says that no more will be.
  const bool last = pipeline_.back().get() == &exchange && !held_;
  if (last && (io_.draining() || peer_finished_)) return false;
  if (incoming_.get() == &exchange && reading_ == Reading::body) {
    // The body is not read to its end. A client that waits for 100 may never send it, and more
    // than drain_limit of it is not worth reading.
    if (continue_due_) return false;
    if (exchange.body_left && *exchange.body_left > io_.options().drain_limit) return false;
  }
  return true;
}

void Connection::complete_taken() {
  const auto completed = std::exchange(taken_, 0);
  for (std::size_t i = 0; i < completed; ++i) {
    ExchangePtr& exchange = pipeline_[i];
    const bool aborted = exchange->state() == ExchangeState::aborted;
    if (!aborted) exchange->written();
    log(*exchange, exchange->response.status, !aborted);
    exchange->connection = nullptr;
    if (!exchange->keep_alive) answers_over_ = true;
    if (incoming_ == exchange) {
      // Answered before its body was read: the rest is thrown away, up to a bound.
      incoming_.reset();
      pause_ = Pause::none;
      reading_ = Reading::discard;
      discard_left_ = io_.options().drain_limit + 1;
      io_.deadlines().arm(read_deadline_, Timeout::body, io_.now());
    }
    io_.recycle(std::move(exchange));
  }
  pipeline_.erase(pipeline_.begin(), pipeline_.begin() + static_cast<std::ptrdiff_t>(completed));
}

// Everything that could be written is: what comes next on this connection?
void Connection::after_answer() {
  if (reading_ == Reading::closed || reading_ == Reading::linger || !out_.empty()) return;
  if (answers_over_) return shut_down_gracefully();
  if (pipeline_.empty()) {
    if (held_) {
      submit(std::exchange(held_, nullptr));
      if (reading_ == Reading::closed) return;
    } else if (refusal_ != nullptr) {
      return send_refusal();
    } else if (last_answer_ && !(incoming_ && reading_ == Reading::body)) {
      return shut_down_gracefully();
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
  if (reading_ != Reading::closed) resume_reading();
}

// Closes so that the client gets everything: data that is unread at close makes the kernel send
// a reset, which can overtake the answer (RFC 9112 section 9.6).
void Connection::shut_down_gracefully() {
  for (const auto& exchange : pipeline_) abandon(*exchange, Departure::client_closed);
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), Departure::client_closed);
  if (reset_on_close_) return close(Departure::client_closed);
  const bool all_read = reading_ == Reading::done && carried_.empty() && !unread_input_;
  if (all_read || peer_finished_) return close(Departure::client_closed);
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
  reading_ = Reading::linger;
  pause_ = Pause::none;
  carried_ = {};
  discard_left_ = io_.options().drain_limit + 1;
  io_.deadlines().arm(read_deadline_, Timeout::linger, io_.now());
  wait_readable();
}

// ---------------------------------------------------------------------------- endings

void Connection::on_timeout(Timeout kind) {
  const auto self = shared_from_this();
  switch (kind) {
    case Timeout::header:
      if (carried_.empty()) return close(Departure::client_closed);
      incoming_ = io_.make_exchange();
      return refuse(refusal(RequestFault::request_timeout));
    case Timeout::body:
      if (reading_ == Reading::body && incoming_) {
        if (!incoming_->submitted) return refuse(refusal(RequestFault::request_timeout));
        return close(Departure::body_timeout);
      }
      return close(Departure::client_closed);
    case Timeout::write: {
      // A socket is writable again only when a good part of its buffer is free. A client that
      // reads slowly may need longer for that than write_timeout, but is not idle.
      const auto left = unacknowledged_bytes(descriptor_.native_handle());
      if (left >= unacknowledged_) return close(Departure::write_timeout);
      unacknowledged_ = left;
      return io_.deadlines().arm(write_deadline_, Timeout::write, io_.now());
    }
    case Timeout::keep_alive:
    case Timeout::linger:
    case Timeout::drain: return close(Departure::client_closed);
  }
}

void Connection::drain() {
  if (!idle()) {
    return;  // its next answer says `Connection: close`
  }
  if (requests_ != 0 && io_.now() - idle_since_ >= drain_grace) {
    return close(Departure::server_stopped);
  }
  io_.deadlines().arm(read_deadline_, Timeout::drain, io_.now());
}

void Connection::close(Departure why) {
  if (reading_ == Reading::closed) return;
  const auto self = shared_from_this();
  reading_ = Reading::closed;
  io_.deadlines().disarm(read_deadline_);
  io_.deadlines().disarm(write_deadline_);
  for (const auto& exchange : pipeline_) {
    log(*exchange, exchange->head_written ? exchange->response.status : 0, false);
    abandon(*exchange, why);
  }
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), why);
  if (incoming_) abandon(*std::exchange(incoming_, nullptr), why);
  out_.clear();
  if (reset_on_close_) {
    const linger abortive{1, 0};
    ::setsockopt(descriptor_.native_handle(), SOL_SOCKET, SO_LINGER, &abortive, sizeof abortive);
  }
  boost::system::error_code ignored;  // the descriptor is gone whatever close(2) says
  descriptor_.close(ignored);
  io_.forget(*this);
}

void Connection::log(const Http1Exchange& exchange, int status, bool complete) {
  AccessLog* access_log = io_.context().access_log;
  if (access_log == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  AccessRecord record;
  record.request = exchange.request.method().empty() ? nullptr : &exchange.request;
  record.remote_address = info_->remote_address;
  record.remote_port = info_->remote_port;
  record.status = status;
  record.response = exchange.head_written ? &exchange.response : nullptr;
  record.body_bytes_sent = exchange.body_bytes_out;
  record.bytes_sent = exchange.bytes_out;
  record.bytes_received = exchange.bytes_in;
  record.total_time = now - exchange.received_at;
  record.received =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(record.total_time);
  if (exchange.head_written) {
    record.queue_time = exchange.taken_at - exchange.queued_at;
    record.app_time = exchange.finished_at - exchange.taken_at;
  }
  record.scheme = info_->scheme;
  record.complete = complete;
  record.connection_requests = requests_;
  access_log->write(record);
}

}  // namespace prowingen::embedded
