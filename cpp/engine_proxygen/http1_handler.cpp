#include "engine_proxygen/http1_handler.h"

#include <utility>

#include "engine_proxygen/http1_codec.h"
#include "http/response_policy.h"
#include "http1/response_writer.h"

namespace prowingen::proxygen_engine {
namespace {

// As much of an answer's body goes into one buffer with its head: a copy of this size costs less
// than a buffer of its own and its way through the session's queue of bodies.
constexpr std::size_t body_with_head = 16 * 1024;

}  // namespace

Http1Handler::Http1Handler(Http1Codec& codec)
    : Handler(codec.thread(), codec.take_request(*this)), codec_(codec) {}

Http1Handler::~Http1Handler() { codec_.forget(*this); }

void Http1Handler::hold_input() {
  holds_input_ = true;
  downstream_->pauseIngress();
}

void Http1Handler::let_input_in() {
  if (std::exchange(holds_input_, false)) downstream_->resumeIngress();
}

px::HTTPMessage& Http1Handler::begin_answer(Exchange::Output& output) {
  HandledExchange& exchange = this->exchange();
  exchange.framing = frame_response(exchange.request.version, exchange.sent_body());
  const bool switches = exchange.framing == ResponseFraming::opaque;
  const bool goes_on = !refuses_tunnel(exchange.request, exchange.sent_body());
  if (exchange.may_upgrade) codec_.settle_upgrade(switches, goes_on);
  exchange.keep_alive = goes_on && decide_keep_alive();
  codec_.announce(exchange.framing, exchange.keep_alive);
  std::string& text = codec_.text();
  http1::write_head(exchange, exchange.framing, exchange.keep_alive, thread().standing(), text);
  auto first_left = output.chunks.begin();
  if (exchange.framing != ResponseFraming::none) {
    while (first_left != output.chunks.end() && first_left->file() == nullptr &&
           text.size() + first_left->size() <= body_with_head) {
      append_body(text, first_left->bytes());
      ++first_left;
    }
  }
  output.chunks.erase(output.chunks.begin(), first_left);
  exchange.bytes_out += text.size();
  // The session would take 101 for an end of its own.
  return thread().status_only(switches ? 200 : exchange.sent_head().status);
}

void Http1Handler::append_body(std::string& text, std::string_view bytes) {
  const bool chunked = exchange().framing == ResponseFraming::chunked;
  if (chunked) http1::write_chunk_header(bytes.size(), text);
  text.append(bytes);
  if (chunked) text.append("\r\n");
  exchange().body_bytes_out += bytes.size();
}

bool Http1Handler::decide_keep_alive() const {
  const HandledExchange& exchange = this->exchange();
  const Options& options = thread().options();
  if (!exchange.keep_alive || exchange.sent_head().closes) return false;
  if (ends_with_connection(exchange.framing)) return false;
  if (!codec_.persists() || thread().draining() || options.keep_alive_timeout == 0) return false;
  // The body is not read to its end. A client that waits for 100 may never send it, and more than
  // drain_limit of it is not worth reading.
  return request_done() || (!continue_due() && exchange.body_left <= options.drain_limit);
}

// The rest of the request is thrown away, up to a bound.
void Http1Handler::on_answer_over() { resume_reading(); }

void Http1Handler::give_up_reading() { codec_.stop_reading(); }

void Http1Handler::half_close() { codec_.half_close(); }

void Http1Handler::drop() { codec_.drop_connection(); }

std::uint64_t Http1Handler::taken_by_client() const { return codec_.acknowledged(); }

Moved Http1Handler::request_moved() const { return {received(), codec_.received()}; }

Moved Http1Handler::answer_moved() const {
  const auto taken = taken_by_client();
  return {taken, taken};
}

// A transaction's own limit knows nothing of a record of TLS of which a part comes now and then,
// nor of what waits to be read.
void Http1Handler::await_body() {
  received_then_ = codec_.received();
  looks_again_ = false;
  thread().loop().timer().scheduleTimeout(this, to_milliseconds(thread().options().body_timeout));
}

void Http1Handler::timeoutExpired() noexcept {
  if (codec_.received() != received_then_) return await_body();
  if (!std::exchange(looks_again_, true) && codec_.has_unread_input()) {
    thread().loop().timer().scheduleTimeout(this, look_again_time);
    return;
  }
  on_silent_request();
}

std::uint64_t Http1Handler::held_by_session() const { return codec_.memory_charged(); }

bool Http1Handler::output_waits() const { return codec_.output() > most_output; }

void Http1Handler::send_continue() {
  codec_.text().append(http1::continue_response);
  downstream_->sendHeaders(thread().status_only(100));
}

void Http1Handler::send_interim(const ResponseHead& head) {
  http1::write_interim(head, codec_.text());
  exchange().bytes_out += codec_.text().size();
  downstream_->sendHeaders(thread().status_only(head.status));
}

void Http1Handler::send_trailers(const FieldSection& trailers) {
  codec_.end_with(trailers);
  exchange().bytes_out += trailers.wire().size();
}

void Http1Handler::send_refusal_page(const Refusal& refusal, bool head_only) {
  std::string& text = codec_.text();
  http1::write_refusal(refusal, !head_only, refusal.status == 503 ? "Retry-After: 1\r\n" : "",
                       thread().standing(), text);
  codec_.announce(ResponseFraming::none, false);
  exchange().bytes_out = text.size();
  downstream_->sendHeaders(thread().status_only(refusal.status));
}

void Http1Handler::abort_answer() {
  const bool looks_whole = ends_with_connection(exchange().framing) || !exchange().head_written;
  if (looks_whole) return reset();
  codec_.cut_answer();
  end_answer();
}

}  // namespace prowingen::proxygen_engine
