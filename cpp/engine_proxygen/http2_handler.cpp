#include "engine_proxygen/http2_handler.h"

#include <chrono>

#include "engine_proxygen/announcing.h"
#include "engine_proxygen/guarded_session.h"
#include "engine_proxygen/handlers.h"
#include "engine_proxygen/http2_codec.h"
#include "http/http2_policy.h"
#include "http2/header_field.h"
#include "proxies/proxies.h"

namespace prowingen::proxygen_engine {
namespace {

// Of proxygen's own: whatever is waited for, this engine has a limit for it.
constexpr std::chrono::hours no_limit{24};

const px::HTTPSessionBase& session_of(px::HTTPTransaction& stream) {
  return *stream.getTransport().getHTTPSessionBase();
}

// The codec of HTTP/2 has it; of HTTP/3 there is proxygen's message.
std::shared_ptr<HandledExchange> take_request(EventThread& thread, px::HTTPTransaction& stream,
                                              const px::HTTPMessage& message, HttpVersion version) {
  auto* const codec = Announcing<Http2Codec>::current();
  if (codec != nullptr) return codec->take_request();
  const px::HTTPSessionBase& session = session_of(stream);
  auto made = thread.make_exchange();
  HandledExchange& exchange = *made;
  exchange.stream_id = static_cast<std::int64_t>(stream.getID());
  exchange.peer = thread.ends_of(session);
  exchange.listener = thread.listener_of(session);
  const auto& protocol = message.getUpgradeProtocol();  // another one, by an extended CONNECT
  const auto& headers = message.getHeaders();
  const bool tunnels = !protocol && message.getMethodString() == "CONNECT";
  exchange.request.set_request_line(
      protocol ? "GET" : message.getMethodString(),
      tunnels ? headers.getSingleOrEmpty(px::HTTP_HEADER_HOST) : message.getURL(), version);
  headers.forEach([&](const std::string& name, const std::string& value) {
    const bool length = equals_ignoring_case(name, "content-length");
    exchange.request.add_field(name, length ? plain_length(value) : std::string_view(value));
    exchange.bytes_in += name.size() + value.size();
  });
  RequestSemantics semantics;
  exchange.refusal = check_http2_request(exchange.request, thread.limits(), semantics);
  // What the codec of HTTP/2 sees to, and proxygen's of HTTP/3 does not.
  const auto target = exchange.request.target();
  if (!tunnels && !target.starts_with('/') && target != "*" && exchange.refusal == nullptr) {
    exchange.refusal = &refusal(RequestFault::bad_target_form);
  }
  if (exchange.refusal != nullptr) {
    thread.count_refusal();
  } else if (exchange.peer->from_proxy) {
    exchange.peer = thread.context().proxies.ends_of(exchange.request, exchange.peer);
  }
  if (protocol || tunnels) {
    exchange.may_upgrade = exchange.refusal == nullptr;
    if (exchange.may_upgrade && protocol) show_as_upgrade(exchange.request, *protocol);
    return made;
  }
  exchange.expects_continue = semantics.expects_continue;
  exchange.expect_body(semantics, thread.options());
  exchange.has_body = semantics.content_length != 0 || semantics.expects_continue;
  exchange.body_left = semantics.content_length;
  return made;
}

void add_fields(std::span<const http2::HeaderField> fields, px::HTTPHeaders& headers) {
  for (const http2::HeaderField& field : fields) {
    headers.add(folly::StringPiece(field.name.data(), field.name.size()), std::string(field.value));
  }
}

}  // namespace

Http2Handler::Http2Handler(EventThread& thread, px::HTTPTransaction& stream,
                           const px::HTTPMessage& message, HttpVersion version)
    : Handler(thread, take_request(thread, stream, message, version)),
      codec_(Announcing<Http2Codec>::current()),
      guarded_(thread.guarded(session_of(stream))),
      streams_(thread.streams_of(session_of(stream))) {}

Http2Handler::~Http2Handler() {
  const auto& exchange = shared_exchange();
  const bool worked_on = exchange->submitted && exchange.use_count() > 1;
  if (codec_ != nullptr && worked_on) codec_->keep_counting(exchange);
  if (guarded_ != nullptr && worked_on) guarded_->keep_counting(exchange);
}

bool Http2Handler::body_may_follow() const { return codec_ == nullptr || exchange().has_body; }

px::HTTPMessage& Http2Handler::begin_answer(Exchange::Output& output) {
  HandledExchange& exchange = this->exchange();
  if (request_done() || output.finished) await_taking();
  const ResponseHead& head = exchange.sent_head();
  // A frame says where the body ends.
  const ResponseBody& body = exchange.sent_body();
  exchange.framing = body.opaque    ? ResponseFraming::opaque
                     : body.allowed ? ResponseFraming::sized
                                    : ResponseFraming::none;
  auto& fields = thread().fields();
  fields.clear();
  exchange.bytes_out += http2::list_fields(head, fields);
  if (body.opaque) std::erase_if(fields, [](const auto& one) { return is_of_switch(one.name); });
  if (body.add_length_field) {
    length_ = std::to_string(body.length);
    fields.push_back({"content-length", length_});
  }
  list_standing_fields(!head.has_date, !head.has_server);
  return head_of(exchange.sent_status(head.status));
}

void Http2Handler::list_standing_fields(bool date, bool server) {
  const http1::StandingFields& standing = thread().standing();
  auto& fields = thread().fields();
  if (date && !standing.date().empty()) fields.push_back({"date", standing.date()});
  if (server && !standing.server().empty()) fields.push_back({"server", standing.server()});
  const auto alternative = standing.alternative(exchange().listener);
  if (!alternative.empty() && exchange().request.version != http_3) {
    fields.push_back({"alt-svc", alternative});
  }
}

// With the fields that are listed: the codec of HTTP/2 takes them as they are, for HTTP/3 proxygen
// has to have them in its table.
px::HTTPMessage& Http2Handler::head_of(int status) {
  const auto& fields = thread().fields();
  if (codec_ != nullptr) {
    px::HTTPMessage& head = thread().status_only(status);
    codec_->set_fields(head, fields);
    return head;
  }
  table_ = std::make_unique<px::HTTPMessage>();
  table_->setStatusCode(static_cast<std::uint16_t>(status));
  add_fields(fields, table_->getHeaders());
  return *table_;
}

// A client that goes on with a request is asked to stop (RFC 9113 section 8.1). In HTTP/3 it may
// take its time with that, but for one that asked for another protocol: it has no reason to end by
// itself if it is refused, and where it was switched one side's end is that of both.
void Http2Handler::on_answer_over() {
  if (request_done()) return;
  if (codec_ != nullptr) return downstream_->sendAbort(px::ErrorCode::NO_ERROR);
  if (!exchange().may_upgrade) return;
  resume_reading();  // to the end, which is not waited for
  guarded_->stop_reading(static_cast<std::uint64_t>(exchange().stream_id));
}

void Http2Handler::half_close() { end_sending(); }

// What was written before the application failed is the client's, as on HTTP/1: the reset takes the
// place of the stream's end. One of HTTP/3 overtakes what is still to be sent.
void Http2Handler::abort_answer() {
  if (codec_ == nullptr || !exchange().head_written) return reset();
  codec_->fail_at_end(exchange().stream_id);
  end_answer();
}

void Http2Handler::send_continue() {
  thread().fields().clear();
  downstream_->sendHeaders(head_of(100));
}

void Http2Handler::send_interim(const ResponseHead& head) {
  thread().fields().clear();
  exchange().bytes_out += http2::list_fields(head, thread().fields());
  downstream_->sendHeaders(head_of(head.status));
}

// They are proxygen's to keep: they may have to wait for the content's end.
void Http2Handler::send_trailers(const FieldSection& trailers) {
  thread().fields().clear();
  exchange().bytes_out += http2::list_fields(trailers, thread().fields());
  px::HTTPHeaders fields;
  add_fields(thread().fields(), fields);
  transaction().sendTrailers(fields);
}

void Http2Handler::send_refusal_page(const Refusal& refusal, bool head_only) {
  const std::string page = refusal_page(refusal);
  length_ = std::to_string(page.size());
  auto& fields = thread().fields();
  fields.clear();
  if (refusal.status == 503) fields.push_back({"retry-after", "1"});
  fields.push_back({"content-type", "text/plain; charset=utf-8"});
  fields.push_back({"content-length", length_});
  list_standing_fields(true, true);
  exchange().bytes_out = page.size();
  downstream_->sendHeaders(head_of(refusal.status));
  if (!head_only) downstream_->sendBody(folly::IOBuf::copyBuffer(page));
}

// What has left for the connection: a stream's window holds back the rest.
std::uint64_t Http2Handler::taken_by_client() const {
  return exchange().body_bytes_out -
         std::min<std::uint64_t>(exchange().body_bytes_out,
                                 transaction().getOutstandingEgressBodyBytes());
}

void Http2Handler::note_movement() {
  if (received() != counted_received_) {
    streams_->received += received() - std::exchange(counted_received_, received());
    if (codec_ != nullptr) codec_->note_taken(exchange().stream_id);
  }
  if (was_reset()) return;  // what was thrown away was not taken
  const auto taken = std::max(taken_by_client(), counted_taken_);
  const bool waits = transaction().getOutstandingEgressBodyBytes() != 0;
  if (!waits || taken != counted_taken_) taken_at_ = std::chrono::steady_clock::now();
  streams_->taken += taken - std::exchange(counted_taken_, taken);
}

// Of HTTP/2 the event thread looks at the connection, of which the windows of QUIC tell nothing.
bool Http2Handler::stands_still(SteadyTime now) const {
  return codec_ == nullptr && transaction().getOutstandingEgressBodyBytes() != 0 &&
         now - taken_at_ >= to_duration(thread().options().write_timeout);
}

bool Http2Handler::output_waits() const {
  return codec_ != nullptr && codec_->output() > most_output;
}

// Of HTTP/2 the codec charges it.
std::uint64_t Http2Handler::kept_by_transaction() const {
  return codec_ != nullptr ? 0 : transaction().getReceiveWindow().getOutstanding();
}

MemoryHolding Http2Handler::content_waiting(SteadyTime now) const {
  return codec_ == nullptr ? MemoryHolding{} : codec_->content_waiting(exchange().stream_id, now);
}

Moved Http2Handler::request_moved() const { return {received(), streams_->received}; }

Moved Http2Handler::answer_moved() const { return {taken_by_client(), streams_->taken}; }

// Not by the transaction's own limit, behind which proxygen answers in our place and leaves the
// client to go on with its request.
void Http2Handler::await_body() {
  transaction().setIdleTimeout(no_limit);
  thread().loop().timer().scheduleTimeout(this, to_milliseconds(thread().options().body_timeout));
}

// A length that was announced was checked with the head, and the codec holds the client to it.
Verdict Http2Handler::check_received(std::uint64_t size) const {
  if (exchange().may_upgrade) return nullptr;  // another protocol's, which has no bound
  return check_body_size(size, thread().limits());
}

void Http2Handler::on_request_whole() { stop_awaiting_body(); }

// Of HTTP/3 proxygen reads on what it cannot pass on.
void Http2Handler::let_client_send(bool may) {
  if (guarded_ == nullptr) return;
  guarded_->read_stream(static_cast<std::uint64_t>(exchange().stream_id), may);
}

// From here on the client can only be late with taking the answer, once there is one: proxygen
// takes a window of nothing, which some open when an answer has begun, for such a client.
void Http2Handler::stop_awaiting_body() {
  cancelTimeout();
  if (exchange().head_written && !exchange().may_upgrade) return await_taking();
  transaction().setIdleTimeout(no_limit);
}

void Http2Handler::await_taking() {
  transaction().setIdleTimeout(to_milliseconds(thread().options().write_timeout));
}

}  // namespace prowingen::proxygen_engine
