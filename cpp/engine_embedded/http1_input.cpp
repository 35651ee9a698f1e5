// The reading side of a connection: from bytes to requests that are handed over or refused.
#include <algorithm>
#include <cstring>

#include "core/copying.h"
#include "engine_embedded/http1_connection.h"
#include "engine_embedded/io_thread.h"
#include "http/http2_policy.h"
#include "proxies/proxies.h"

namespace prowingen::embedded {
namespace {

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

}  // namespace

// ---------------------------------------------------------------------------- reading

void Http1Connection::take_input(std::string_view input) {
  if (!carried_.empty()) {
    append_octets(carried_, input);
    return consume_input();
  }
  const std::size_t used = consume(input);
  if (!closed() && !lingers()) carried_.assign(input.substr(used));
}

void Http1Connection::consume_input() {
  // Moved out, so that what the input sets off cannot change it underfoot. An idle connection is
  // left with no buffer.
  std::string input = std::exchange(carried_, {});
  const std::size_t used = consume(input);
  if (used == input.size() || closed() || lingers()) return;
  input.erase(0, used);
  carried_ = std::move(input);
}

std::size_t Http1Connection::consume(std::string_view input) {
  std::size_t used = 0;
  while (used < input.size() && pause_ == Pause::none) {
    const auto rest = input.substr(used);
    std::size_t step = 0;
    if (reading_ == Reading::head) {
      step = consume_head(rest);
    } else if (reading_ == Reading::body || reading_ == Reading::discard) {
      step = consume_body(rest);
    } else if (reading_ == Reading::opaque) {
      step = consume_opaque(rest);
    }
    if (step == 0) break;
    used += step;
    scanned_ = 0;
  }
  return used;
}

std::size_t Http1Connection::consume_head(std::string_view input) {
  if (requests_ == 0 && input.starts_with("PRI") && may_become_http2()) {
    if (!input.starts_with(http2_preface)) {
      if (http2_preface.starts_with(input)) return 0;
    } else {
      become_http2(input);
      return input.size();
    }
  }
  // Empty lines before a request line are skipped (RFC 9112 section 2.2).
  if (input.starts_with("\r\n")) return 2;
  if (!pipeline_.empty() && pipeline_.size() >= io_.options().pipeline_depth) {
    pause_ = Pause::pipeline;
    return 0;
  }
  // Looked at before the line is parsed: the same line gets the same answer however it came.
  const auto first_line = input.substr(0, input.find('\n'));
  if (first_line.size() > io_.limits().max_request_line + 1) {
    incoming_ = make_exchange();
    refuse(refusal(RequestFault::request_line_too_long));
    return input.size();
  }
  // A head is tried again when a further line has come in: a parser that starts over each time
  // cannot care where the input was cut.
  if (std::memchr(input.data() + scanned_, '\n', input.size() - scanned_) == nullptr) {
    scanned_ = input.size();
    if (input.size() > io_.limits().max_request_line + io_.limits().max_header_bytes) {
      incoming_ = make_exchange();
      refuse(refusal(RequestFault::header_too_large));
      return input.size();
    }
  } else {
    incoming_ = make_exchange();
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
    arm(read_deadline_, Timeout::header);
  }
  return 0;
}

// With prior knowledge (RFC 9113 section 3.3); over TLS it would have been agreed on.
bool Http1Connection::may_become_http2() const {
  return io_.options().http == "auto" && info_->tls == nullptr;
}

void Http1Connection::become_http2(std::string_view input) {
  const std::string all(input);
  io_.open_http2(*this, give_away(), listener_, info_, all);
}

void Http1Connection::on_head(bool request_done) {
  Http1Exchange& exchange = *incoming_;
  RequestSemantics semantics;
  if (auto verdict = check_header_section(exchange.request, io_.limits(), semantics)) {
    return refuse(*verdict);
  }
  ++requests_;
  exchange.listener = listener_;
  exchange.received_at = io_.now();
  if (info_->from_proxy) exchange.peer = io_.context().proxies.ends_of(exchange.request, info_);
  exchange.keep_alive = semantics.keep_alive;
  exchange.bytes_in = exchange.head_size;
  exchange.connection = this;
  exchange.safe = request_done && is_safe(exchange.request.method());
  // Now, and not when it is queued, behind all that is read in this turn.
  if (exchange.head_size >= MemoryCharge::step) exchange.charge_head();
  disarm(read_deadline_);
  if (!semantics.keep_alive) last_answer_ = true;
  if (request_done) {
    exchange.may_upgrade = semantics.upgrade;
    exchange.safe &= !semantics.upgrade;
    on_body_end();
    return;
  }
  reading_ = Reading::body;
  exchange.has_body = true;
  exchange.expects_continue = continue_due_ = semantics.expects_continue;
  exchange.expect_body(semantics, io_.options());
  if (semantics.framing == BodyFraming::content_length) {
    exchange.body_left = semantics.content_length;
  }
  if (continue_due_ && !exchange.waits_whole) {
    // The client may be waiting for the application to ask for the body.
    dispatch(incoming_);
  } else if (!continue_due_ || pipeline_.empty()) {
    resume_body(exchange);
  }  // else: an interim answer comes behind the answers before it
}

std::size_t Http1Connection::consume_body(std::string_view input) {
  const auto progress = parser_->parse_body(input);
  if (reading_ != Reading::body && reading_ != Reading::discard) return progress.consumed;
  if (incoming_) incoming_->bytes_in += progress.consumed;
  if (body_not_stored_) {
    refuse(refusal(RequestFault::body_not_stored));
    return input.size();
  }
  switch (progress.outcome) {
    case RequestParser::Outcome::refused: refuse(*progress.verdict); return input.size();
    case RequestParser::Outcome::request_done: on_body_end(); break;
    case RequestParser::Outcome::need_more:
    case RequestParser::Outcome::head_done: break;
  }
  return progress.consumed;
}

// What another protocol's client sends. It has no end but the connection's, and takes its time.
std::size_t Http1Connection::consume_opaque(std::string_view input) {
  incoming_->bytes_in += input.size();
  if (incoming_->take_in(input, io_.context()) == Exchange::Intake::pause) pause_ = Pause::body;
  return input.size();
}

void Http1Connection::on_body(std::string_view bytes) {
  if (reading_ == Reading::discard) {
    discard_left_ -= std::min<std::uint64_t>(discard_left_, bytes.size());
    if (discard_left_ == 0) shut_down_gracefully();
    return;
  }
  if (body_not_stored_) return;
  continue_due_ = false;
  Http1Exchange& exchange = *incoming_;
  if (exchange.body_left) *exchange.body_left -= bytes.size();
  switch (exchange.take_in(bytes, io_.context())) {
    case Exchange::Intake::read_on: break;
    case Exchange::Intake::pause:
      // More than a worker is spared: from here on it takes part.
      pause_ = Pause::body;
      reading_pace_.rest();
      disarm(read_deadline_);
      if (!exchange.submitted && held_ != incoming_) dispatch(incoming_);
      break;
    case Exchange::Intake::refuse: body_not_stored_ = true; break;
  }
}

void Http1Connection::on_trailer(std::string_view name, std::string_view value) {
  if (reading_ == Reading::body) incoming_->add_trailer(name, value);
}

void Http1Connection::on_body_end() {
  disarm(read_deadline_);
  if (pause_ == Pause::body) pause_ = Pause::none;
  reading_pace_.rest();
  const auto exchange = std::move(incoming_);
  incoming_.reset();
  reading_ = last_answer_ ? Reading::done : Reading::head;
  if (exchange && exchange->may_upgrade) {
    reading_ = Reading::undecided;
    return dispatch(exchange);
  }
  continue_due_ = false;
  if (!exchange) {  // a discarded body: its exchange is over
    after_answer();
    return;
  }
  exchange->body_left = 0;
  exchange->end_body();
  if (held_ == exchange) {
    if (reading_ == Reading::head) pause_ = Pause::pipeline;
  } else if (!exchange->submitted) {
    dispatch(exchange);
  }
}

void Http1Connection::on_end_of_stream() {
  // What came before the end comes first. It may have to wait, and the end with it.
  if (!carried_.empty()) consume_input();
  if (!wants_input()) return;
  peer_finished_ = true;
  if (reading_ == Reading::opaque) {
    reading_ = Reading::done;
    incoming_->finish_body();
    incoming_.reset();
    return flush();  // what it has to say may have been said before
  }
  if (reading_ == Reading::body) {
    return refuse(refusal(RequestFault::truncated), Departure::client_closed);
  }
  if (reading_ == Reading::discard) return close(Departure::client_closed);
  if (!carried_.empty()) {
    // Half a head: whoever sent it may still read.
    incoming_ = make_exchange();
    carried_.clear();
    return refuse(refusal(RequestFault::truncated));
  }
  // A client may close its side after its last request and still wait for the answers.
  reading_ = Reading::done;
  last_answer_ = true;
  for (const auto& exchange : pipeline_) exchange->client_finished(io_.now());
  if (pipeline_.empty() && !held_) close(Departure::client_closed);
}

void Http1Connection::resume_body(ConnectionExchange& exchange) {
  if (incoming_.get() != &exchange) return;
  if (reading_ == Reading::opaque) {
    if (pause_ == Pause::memory && !reads_on_in_shortage()) return;
    pause_ = Pause::none;
    return consume_input();
  }
  if (reading_ != Reading::body) return;
  if (continue_due_ && !exchange.head_written) {  // an interim answer comes before the final one
    continue_due_ = false;
    out_.text().append(http1::continue_response);
    flush();
    if (closed()) return;
  }
  arm(read_deadline_, Timeout::body);
  // Somebody waits for it, whatever else there is no memory for.
  const bool starved = pause_ == Pause::memory && reads_on_in_shortage();
  if (pause_ == Pause::body || starved) {
    pause_ = Pause::none;
    consume_input();
  }
}

// ---------------------------------------------------------------------------- handing over

void Http1Connection::dispatch(ExchangePtr exchange) {
  const bool ahead = exchange->safe &&
                     std::ranges::all_of(pipeline_, [](const auto& other) { return other->safe; });
  if (!pipeline_.empty() && !ahead) {
    held_ = std::move(exchange);
    if (pause_ == Pause::none && reading_ == Reading::head) pause_ = Pause::pipeline;
    return;
  }
  submit(exchange);
}

void Http1Connection::submit(const ExchangePtr& exchange) {
  pipeline_.push_back(exchange);
  exchange->submitted = true;
  io_.submit(exchange);
}

void Http1Connection::refuse_unqueued(ConnectionExchange& exchange) {
  refuse_from(static_cast<Http1Exchange&>(exchange), queue_full);
}

void Http1Connection::refuse_from(Http1Exchange& exchange, const Refusal& refusal) {
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
  refuse(refusal);
}

// The exchange's answer is not wanted any more.
void Http1Connection::abandon(Http1Exchange& exchange, Departure why) {
  exchange.depart(why);
  exchange.connection = nullptr;
}

void Http1Connection::refuse(const Refusal& refusal, Departure why) {
  io_.count_refusal();
  refusal_ = &refusal;
  refused_ = std::move(incoming_);
  incoming_.reset();
  if (held_ == refused_) held_.reset();  // its body never came to its end
  const bool body_failed = reading_ == Reading::body;
  reading_ = Reading::done;
  last_answer_ = unread_input_ = true;
  disarm(read_deadline_);
  if (refused_ && refused_->received_at == SteadyTime()) refused_->received_at = io_.now();
  if (body_failed && refused_ && refused_->submitted) {
    // A worker is on it. If no answer has begun the refusal is the answer.
    refused_->depart(&refusal == &prowingen::refusal(RequestFault::body_too_large)
                         ? Departure::body_too_large
                         : why);
    refused_->connection = nullptr;
    const bool begun = refused_->head_written;
    std::erase(pipeline_, refused_);  // it was alone in it, as every request with a body
    taken_ = 0;
    if (begun) {
      log(*refused_, refused_->sent_head().status, false);
      refused_.reset();
      refusal_ = nullptr;
      reset_on_close_ = true;
      if (pipeline_.empty()) return close(why);
      return;
    }
  }
  if (pipeline_.empty() && !held_) send_refusal();
}

void Http1Connection::send_refusal() {
  const Refusal& refusal = *std::exchange(refusal_, nullptr);
  const bool head = refused_ && refused_->request.method() == "HEAD";
  const auto before = out_.size();
  http1::write_refusal(refusal, !head, refusal.status == 503 ? "Retry-After: 1\r\n" : "",
                       io_.standing(), out_.text());
  if (refused_) {
    refused_->bytes_out = out_.size() - before;
    refused_->body_bytes_out = head ? 0 : refusal_page(refusal).size();
    log(*refused_, refusal.status, true);
    refused_->forget_request();
    refused_.reset();
  }
  flush();
}

}  // namespace prowingen::embedded
