// The reading side of an HTTP/2 connection: from streams to requests that are handed over or
// refused.
#include <algorithm>
#include <utility>

#include "engine_embedded/http2_connection.h"
#include "engine_embedded/io_thread.h"
#include "proxies/proxies.h"

namespace prowingen::embedded {
namespace {

Http2Exchange& exchange_of(http2::Stream& stream) { return static_cast<Http2Exchange&>(stream); }

}  // namespace

// A stream that its client has reset counts for as long as a worker is on its request: else a
// client could have the workers do any number of them (CVE-2023-44487).
bool Http2Connection::has_room_for_stream() {
  std::erase_if(departed_, [](const ExchangePtr& exchange) { return exchange.use_count() == 1; });
  return streams_.size() + departed_.size() < static_cast<std::size_t>(io_.options().max_streams);
}

http2::Stream* Http2Connection::open(std::int32_t id, RequestHead*& head) {
  if (!has_room_for_stream()) return nullptr;
  auto exchange = io_.make_http2_exchange();
  exchange->peer = info_;
  exchange->connection = this;
  exchange->read_deadline.connection = exchange->write_deadline.connection = this;
  exchange->read_deadline.stream = exchange->write_deadline.stream = id;
  exchange->listener = listener_;
  exchange->stream_id = id;
  exchange->received_at = io_.now();
  exchange->index = streams_.size();
  head = &exchange->request;
  streams_.push_back(exchange);
  return exchange.get();
}

void Http2Connection::on_request(http2::Stream& stream, const http2::HeadReader::Result& head) {
  Http2Exchange& exchange = exchange_of(stream);
  disarm(read_deadline_);
  ++requests_;
  exchange.bytes_in = head.size;
  if (exchange.refused != 0) return;  // before its head was whole
  if (head.verdict != nullptr) return refuse(exchange, *head.verdict, Departure::none);
  if (info_->from_proxy) exchange.peer = io_.context().proxies.ends_of(exchange.request, info_);
  // Now, and not when it is queued, behind all that is read in this turn.
  if (head.size >= MemoryCharge::step) exchange.charge_head();
  exchange.may_upgrade = head.upgrades && !stream.request_whole;
  if (exchange.may_upgrade) return submit(exchange);
  if (stream.request_whole) {
    exchange.end_body();
    return submit(exchange);
  }
  const RequestSemantics& semantics = head.semantics;
  exchange.has_body = true;
  exchange.expects_continue = exchange.continue_due = semantics.expects_continue;
  exchange.expect_body(semantics, io_.options());
  if (semantics.framing == BodyFraming::content_length) {
    exchange.body_left = semantics.content_length;
  }
  if (!exchange.continue_due) return await_body(exchange);
  if (exchange.waits_whole) return resume_body(exchange);
  submit(exchange);  // the client may be waiting for the application to ask for the body
}

void Http2Connection::on_body(http2::Stream& stream, std::string_view bytes) {
  Http2Exchange& exchange = exchange_of(stream);
  exchange.bytes_in += bytes.size();
  exchange.body_bytes_in += bytes.size();
  // What nobody wants any more is thrown away, up to a bound; the stream is reset when its answer
  // is out.
  if (exchange.refused != 0) {
    exchange.discarded += bytes.size();
    if (exchange.discarded > io_.options().drain_limit) {
      return session_.reset(exchange, http2::ErrorCode::no_error);
    }
    return session_.consume(stream, bytes.size());
  }
  if (exchange.may_upgrade) return on_opaque(exchange, bytes);
  exchange.continue_due = false;
  if (auto verdict = check_body_size(exchange.body_bytes_in, io_.limits())) {
    return refuse(exchange, *verdict, Departure::body_too_large);
  }
  switch (exchange.take_in(bytes, io_.context())) {
    case Exchange::Intake::read_on:
      session_.consume(stream, bytes.size());
      await_body(exchange);
      break;
    case Exchange::Intake::pause:
      // More than a worker is spared: from here on it takes part, and the window stays closed.
      disarm(exchange.read_deadline);
      if (!exchange.submitted) submit(exchange);
      break;
    case Exchange::Intake::refuse:
      refuse(exchange, refusal(RequestFault::body_not_stored), Departure::body_too_large);
      break;
  }
}

// What another protocol's client sends: it has no bound, and takes its time.
void Http2Connection::on_opaque(Http2Exchange& exchange, std::string_view bytes) {
  const auto intake = exchange.take_in(bytes, io_.context());
  if (intake == Exchange::Intake::read_on) session_.consume(exchange, bytes.size());
}

void Http2Connection::on_trailer(http2::Stream& stream, std::string_view name,
                                 std::string_view value) {
  Http2Exchange& exchange = exchange_of(stream);
  exchange.bytes_in += name.size() + value.size();
  if (exchange.refused == 0) exchange.add_trailer(name, value);
}

void Http2Connection::on_bad_trailers(http2::Stream& stream, Verdict verdict) {
  refuse(exchange_of(stream), *verdict, Departure::malformed_body);
}

void Http2Connection::on_request_end(http2::Stream& stream) {
  Http2Exchange& exchange = exchange_of(stream);
  disarm(exchange.read_deadline);
  if (exchange.refused != 0) return;
  exchange.continue_due = false;
  exchange.end_body();
  if (!exchange.submitted) submit(exchange);
  if (exchange.half_closed) finish(exchange);
}

void Http2Connection::await_body(Http2Exchange& exchange) {
  arm(exchange.read_deadline, Timeout::body);
}

void Http2Connection::resume_body(ConnectionExchange& wanted) {
  auto& exchange = static_cast<Http2Exchange&>(wanted);
  // An application's own thread may ask after the answer, and even after the stream.
  if (exchange.request_whole || exchange.refused != 0 || exchange.framed) return;
  if (std::exchange(exchange.continue_due, false) && !exchange.answer_begun) {
    session_.inform(exchange, 100, {});
  }
  if (exchange.unconsumed != 0) session_.consume(exchange, exchange.unconsumed);
  if (!exchange.may_upgrade) await_body(exchange);
  if (awaits_memory_ && reads_on_in_shortage()) awaits_memory_ = false;
  if (exchange.submitted) flush();  // else the session is in the middle of the input
}

void Http2Connection::submit(Http2Exchange& exchange) {
  exchange.submitted = true;
  io_.submit(streams_[exchange.index]);
}

void Http2Connection::refuse_unqueued(ConnectionExchange& exchange) {
  refuse(static_cast<Http2Exchange&>(exchange), queue_full, Departure::none);
  flush();
}

void Http2Connection::refuse(Http2Exchange& exchange, const Refusal& refusal, Departure why) {
  if (exchange.refused != 0) return;
  io_.count_refusal();
  disarm(exchange.read_deadline);
  if (exchange.submitted) exchange.depart(why);
  if (exchange.answer_begun) {
    return session_.reset(exchange, http2::ErrorCode::cancel);
  }
  send_page(exchange, refusal);
  if (exchange.unconsumed != 0) session_.consume(exchange, exchange.unconsumed);
}

// Either the answer is on its way, or the stream was reset.
void Http2Connection::on_closed(http2::Stream& stream, std::uint32_t error) {
  Http2Exchange& exchange = exchange_of(stream);
  const ExchangePtr kept = streams_[exchange.index];
  streams_.back()->index = exchange.index;
  std::swap(streams_[exchange.index], streams_.back());
  streams_.pop_back();
  disarm(exchange.read_deadline);
  disarm(exchange.write_deadline);
  if (exchange.framed) return;
  const bool malformed = error == static_cast<std::uint32_t>(http2::ErrorCode::protocol_error);
  if (malformed && !exchange.submitted && exchange.refused == 0) {
    io_.count_refusal();
    exchange.refused = 400;  // had it been HTTP/1
  }
  exchange.depart(Departure::client_closed);
  log(exchange, exchange.status(), false);
  forget(exchange);
  if (exchange.submitted) departed_.push_back(kept);
}

void Http2Connection::forget(Http2Exchange& exchange) {
  disarm(exchange.read_deadline);
  disarm(exchange.write_deadline);
  exchange.connection = nullptr;
  exchange.forget_request();
}

}  // namespace prowingen::embedded
