// The writing side of an HTTP/2 connection: from answers to bytes.
#include <string>
#include <utility>

#include "engine_embedded/http2_connection.h"
#include "engine_embedded/io_thread.h"

namespace prowingen::embedded {
namespace {

// Frames that are made at a time.
constexpr std::size_t frames_at_once = std::size_t{64} * 1024;

Http2Exchange& exchange_of(http2::Stream& stream) { return static_cast<Http2Exchange&>(stream); }

}  // namespace

void Http2Connection::note_output(ConnectionExchange& exchange) {
  const auto& ready = static_cast<Http2Exchange&>(exchange);
  if (!ready.framed) noted_.push_back(streams_[ready.index]);
}

void Http2Connection::see_to_noted() {
  for (const auto& exchange : noted_) see_to(*exchange);
  noted_.clear();
}

void Http2Connection::see_to(Http2Exchange& exchange) {
  if (exchange.refused != 0 || exchange.framed || exchange.connection == nullptr) return;
  if (exchange.half_closed) {
    if (exchange.wants_input()) return;
    finish(exchange);
    return session_.reset(exchange, http2::ErrorCode::no_error);
  }
  if (exchange.answer_begun) {
    arm(exchange.write_deadline, Timeout::write);
    return session_.resume(exchange);
  }
  auto& output = io_.output();
  exchange.take_output(output);
  for (const ResponseHead& head : output.interim) send_interim(exchange, head);
  if (output.head) {
    arm(exchange.write_deadline, Timeout::write);
    const ResponseBody& body = exchange.sent_body();
    exchange.framing = body.opaque    ? ResponseFraming::opaque
                       : body.allowed ? ResponseFraming::sized
                                      : ResponseFraming::none;
    exchange.add(output);
    begin_answer(exchange);
  } else if (output.aborted) {
    session_.reset(exchange, http2::ErrorCode::internal_error);
  }
  output.clear();
}

void Http2Connection::list_fields(Http2Exchange& exchange, const FieldSection& section) {
  fields_.clear();
  exchange.bytes_out += http2::list_fields(section, fields_);
}

void Http2Connection::send_interim(Http2Exchange& exchange, const ResponseHead& head) {
  list_fields(exchange, head);
  session_.inform(exchange, head.status, fields_);
}

void Http2Connection::begin_answer(Http2Exchange& exchange) {
  const ResponseHead& head = exchange.sent_head();
  list_fields(exchange, head);
  if (exchange.framing == ResponseFraming::opaque) {
    std::erase_if(fields_, [](const auto& field) { return is_of_switch(field.name); });
  }
  const auto& standing = io_.standing();
  if (!head.has_date && !standing.date().empty()) fields_.push_back({"date", standing.date()});
  if (!head.has_server && !standing.server().empty()) {
    fields_.push_back({"server", standing.server()});
  }
  std::string length;
  if (exchange.sent_body().add_length_field) {
    length = std::to_string(exchange.sent_body().length);
    fields_.push_back({"content-length", length});
  }
  exchange.head_written = true;
  const auto first = exchange.offer(1);
  const bool content = first.failed || first.size != 0 || !first.end;
  const int status = exchange.sent_status(head.status);
  session_.answer(exchange, status, fields_, content || exchange.sent_trailers() != nullptr);
}

void Http2Connection::send_page(Http2Exchange& exchange, const Refusal& refusal) {
  exchange.refused = refusal.status;
  const std::string page = refusal_page(refusal);
  const std::string length = std::to_string(page.size());
  const auto& standing = io_.standing();
  fields_.clear();
  if (!standing.date().empty()) fields_.push_back({"date", standing.date()});
  if (!standing.server().empty()) fields_.push_back({"server", standing.server()});
  if (refusal.status == 503) fields_.push_back({"retry-after", "1"});
  fields_.push_back({"content-type", "text/plain; charset=utf-8"});
  fields_.push_back({"content-length", length});
  const bool content = exchange.request.method() != "HEAD";
  exchange.set_page(content ? page : std::string());
  arm(exchange.write_deadline, Timeout::write);
  session_.answer(exchange, refusal.status, fields_, content);
}

http2::Offer Http2Connection::offer(http2::Stream& stream, std::size_t most) {
  Http2Exchange& exchange = exchange_of(stream);
  exchange.fetch(io_.output());
  http2::Offer offer = exchange.offer(most);
  if (offer.end && exchange.refused == 0 && exchange.sent_trailers() != nullptr) {
    list_fields(exchange, *exchange.sent_trailers());
    offer.trailers = fields_;
  }
  return offer;
}

bool Http2Connection::take(http2::Stream& stream, std::size_t size, std::string& out) {
  Http2Exchange& exchange = exchange_of(stream);
  last_taken_ = io_.now();
  arm(exchange.write_deadline, Timeout::write);
  exchange.bytes_out += size;
  if (exchange.take(size, out)) return true;
  io_.context().report(Severity::error, file_too_short(exchange));
  return false;
}

bool Http2Connection::on_answer_written(http2::Stream& stream) {
  Http2Exchange& exchange = exchange_of(stream);
  const bool opaque = exchange.framing == ResponseFraming::opaque;
  exchange.half_closed = opaque && !exchange.request_whole && exchange.wants_input();
  if (exchange.half_closed) {
    disarm(exchange.write_deadline);
    return false;
  }
  finish(exchange);
  return true;
}

// Nothing of the exchange waits any more but for the socket.
void Http2Connection::finish(Http2Exchange& exchange) {
  disarm(exchange.read_deadline);
  disarm(exchange.write_deadline);
  exchange.framed = true;
  leaving_.push_back(streams_[exchange.index]);
  ++unplaced_;
}

void Http2Connection::on_answer_failed(http2::Stream& stream, std::string_view why) {
  const Http2Exchange& exchange = exchange_of(stream);
  io_.context().report(Severity::error,
                       std::string(exchange.request.method()) + " " +
                           std::string(exchange.request.target()) +
                           ": the answer's head cannot be sent: " + std::string(why));
}

bool Http2Connection::make_frames() {
  std::string& text = out_.text();
  const bool goes_on = session_.write(text, frames_at_once);
  if (text.empty()) out_.clear();
  for (; unplaced_ != 0; --unplaced_) {
    leaving_[leaving_.size() - unplaced_]->end_at = sent() + out_.size();
  }
  return goes_on;
}

void Http2Connection::complete_answers() {
  while (!leaving_.empty() && leaving_.front()->end_at <= sent()) {
    auto exchange = std::move(leaving_.front());
    leaving_.pop_front();
    if (exchange->refused == 0) exchange->written();
    log(*exchange, exchange->status(), true);
    forget(*exchange);
    io_.recycle(std::move(exchange));
  }
}

void Http2Connection::flush() {
  if (waiting_writable_ || closed() || lingers()) return;
  see_to_noted();
  std::uint64_t written = 0;
  for (;;) {
    if (out_.empty() && session_.wants_write() && !make_frames()) ending_ = true;
    if (all_sent()) break;
    const auto result = write_out(written);
    if (closed()) return;
    complete_answers();
    if (result != OutQueue::Result::all_written) return;
    if (turn_is_over(written) && session_.wants_write()) return wait_writable();
  }
  awaits_reader() ? note_written(taken_by_client()) : writing_pace_.rest();
  disarm(write_deadline_);
  if (ending_ || session_.over()) return shut_down(!peer_finished_);
  if (idle() && !read_deadline_.armed()) await_request();
}

}  // namespace prowingen::embedded
