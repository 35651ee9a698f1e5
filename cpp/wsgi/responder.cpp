#include "wsgi/responder.h"

#include <algorithm>
#include <limits>

#include "core/engine.h"
#include "http/refusal.h"
#include "http/request_policy.h"
#include "http/response_policy.h"
#include "static_files/answer.h"
#include "static_files/named_files.h"
#include "tracing/marks.h"

#include "compression/rules.h"
#include "wsgi/coded_body.h"
#include "wsgi/forked_child.h"
#include "wsgi/left_out_fields.h"
#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

// Below this a copy is cheaper than keeping the object alive until it is sent.
constexpr Py_ssize_t lend_from = 16 * 1024;

// Each look costs the I/O thread a wake-up and a system call.
constexpr std::chrono::milliseconds look_interval{50};

constexpr std::string_view transport_security_field = "Strict-Transport-Security";
constexpr std::string_view path_field = "X-Sendfile";
constexpr std::string_view target_field = "X-Accel-Redirect";
constexpr std::string_view no_file_page = "Not Found\n";

bool has_field(const ResponseHead& head, std::string_view name) {
  return std::ranges::any_of(head.fields(), [&](const FieldLine& field) {
    return equals_ignoring_case(head.view(field.name), name);
  });
}

bool fail(PyObject* type, const std::string& message) {
  PyRef text = PyRef::steal(
      PyUnicode_DecodeLatin1(message.data(), static_cast<Py_ssize_t>(message.size()), nullptr));
  if (text) PyErr_SetObject(type, text.get());
  return false;
}

}  // namespace

AnswerRules::AnswerRules(const Options& options, std::shared_ptr<static_files::NamedFiles> files,
                         std::shared_ptr<response_cache::ResponseCache> answers)
    : high_water(options.write_high_water),
      transport_security(options.transport_security()),
      long_lived_after(std::chrono::duration_cast<std::chrono::nanoseconds>(
          to_duration(options.long_lived_after))),
      named_files(std::move(files)),
      cache(std::move(answers)),
      compression(options.compress ? std::make_shared<compression::Rules>(options) : nullptr),
      marks(tracing::marks_of_answers(options.request_id, options.trace_response)) {}

Responder::~Responder() { send_uncoded(); }

void Responder::begin(int status, std::string_view reason) {
  // What is answered 101 elsewhere is 200 of a CONNECT (RFC 9110 section 9.3.6).
  const bool is_tunnel = is_connect_ && status == 101;
  head_->clear();
  head_->status = is_tunnel ? 200 : status;
  head_->reason = is_tunnel ? reason_phrase(200) : reason;
  declared_.reset();
  named_.reset();
  send_uncoded();
  coding_settled_ = false;
  started_ = false;
}

std::optional<FieldFault> Responder::add_field(std::string_view name, std::string_view value) {
  const ResponseField kind = classify_response_field(name);
  if (const auto fault = check_response_field(kind, name, value)) return fault;
  if (is_hop_by_hop(kind)) {
    add_hop_by_hop(kind, name, value);
    return std::nullopt;
  }
  if (rules_.named_files && take_name(name, value)) return std::nullopt;
  ResponseHead& head = *head_;
  if (kind == ResponseField::content_length) {
    if (is_switch(head.status)) return std::nullopt;  // what follows is no content
    const auto length = parse_content_length(value);
    if (declared_ && *declared_ != *length) return FieldFault::length_contradicts;
    if (declared_) return std::nullopt;  // the same again: once is enough
    declared_ = length;
    // Forbidden in a 204 (RFC 9110 section 8.6), where it would mean nothing.
    if (head.status == 204) return std::nullopt;
  }
  head.has_date |= kind == ResponseField::date;
  head.has_server |= kind == ResponseField::server;
  head.add_field(name, value);
  return std::nullopt;
}

void Responder::add_hop_by_hop(ResponseField kind, std::string_view name, std::string_view value) {
  ResponseHead& head = *head_;
  const bool upgrades = may_name_protocols(head.status, exchange_->request.version);
  if (kind == ResponseField::connection) {
    const auto wishes = parse_connection(value);
    head.closes |= wishes.close;
    if (!wishes.more || upgrades) return;
  } else if (kind == ResponseField::upgrade && upgrades) {
    head.add_field(name, value);
    head.add_field("Connection", "upgrade");  // which it must not be without (RFC 9110 7.8)
    return;
  }
  if (is_switch(head.status)) return;  // the switch is said in another way there
  left_out_.note(kind, name, value, *exchange_);
}

// An answer of status 101 says what is spoken from there on (RFC 9110 section 7.8): if not the
// application, then the client, by the first that it offers.
void Responder::name_protocol() {
  ResponseHead& head = *head_;
  if (has_field(head, "Upgrade")) return;
  const auto offered = offered_protocols(exchange_->request);
  if (!offered.empty()) add_hop_by_hop(ResponseField::upgrade, "Upgrade", offered.front());
}

void Responder::end_head() {
  body_allowed_ =
      !is_switch(head_->status) && response_has_content(exchange_->request.method(), head_->status);
  started_ = true;
  if (switches() && !is_connect_) name_protocol();
}

// Of HTTP/1.1: only behind the last chunk there is a place for trailers.
bool Responder::wants_chunks() const {
  return trailers_ && body_allowed_ && exchange_->request.version == HttpVersion{1, 1} &&
         takes_trailers(exchange_->request);
}

void Responder::add_transport_security() {
  ResponseHead& head = *head_;
  if (has_field(head, transport_security_field)) return;
  head.add_field(transport_security_field, rules_.transport_security);
}

void Responder::settle_head() {
  if (!rules_.transport_security.empty() && exchange_->peer->scheme == "https") {
    add_transport_security();
  }
  ResponseBody& body = exchange_->response_body;
  body.allowed = body_allowed_;
  body.opaque = switches();
  if (rules_.compression) settle_coded_head();
  if (body.opaque) {
    // What follows has no length.
  } else if (coding_) {
    body.length_known = body.add_length_field = coded_length_ && !wants_chunks();
    body.length = coded_length_.value_or(0);
  } else if (declared_) {
    body.length_known = true;
    body.length = *declared_;
  } else if (total_ && (*total_ != 0 || body_allowed_) && !wants_chunks()) {
    // Who answers HEAD with nothing has not said how long GET's answer is (RFC 9110 section 8.6).
    body.length_known = true;
    body.length = *total_;
    const int status = head_->status;
    body.add_length_field = status >= 200 && status != 204 && status != 304;
  }
  head_sent_ = true;
}

bool Responder::write(PyObject* bytes, bool last) {
  if (!PyBytes_Check(bytes)) {
    PyErr_Format(PyExc_TypeError, "the response body must be bytes, not %.100s",
                 Py_TYPE(bytes)->tp_name);
    return false;
  }
  if (answered_otherwise()) return true;
  if (!started_) {
    return fail(PyExc_AssertionError,
                "the application gave a body before it called start_response");
  }
  if (finished_ || ends_) {
    return fail(PyExc_ValueError, "write() called after the end of the body");
  }
  auto size = static_cast<std::uint64_t>(PyBytes_GET_SIZE(bytes));
  // The head waits for the first byte (PEP 3333), and so nothing is sent.
  if (size == 0 && !last) return look_for_client();
  if (!body_allowed_) {
    // The head goes out when it would with a body, and says no more than it would then.
    if (last || !head_sent_) return push({}, last);
    return look_for_client();
  }
  if (bound() && sent_ + size > *bound()) {
    if (complaint_.empty()) {
      complaint_ = "the body is longer than its Content-Length of " + std::to_string(*bound()) +
                   " bytes; the rest was cut off";
    }
    size = *bound() - sent_;
    if (size == 0 && !last) return look_for_client();
  }
  if (last && bound() && sent_ + size < *bound()) return write(bytes, false) && finish();
  sent_ += size;
  if (rules_.compression) {
    const auto total = declared_ ? declared_ : last ? sent_ : total_;
    settle_coding(total);
    if (coded_) return write_coded(bytes, static_cast<std::size_t>(size), last);
  }
  return send_as_it_is(bytes, static_cast<std::size_t>(size), last);
}

bool Responder::send_as_it_is(PyObject* bytes, std::size_t size, bool last) {
  const std::string_view view(PyBytes_AS_STRING(bytes), size);
  // A subclass could have given its memory a life of its own.
  if (view.size() < lend_from || !PyBytes_CheckExact(bytes))
    return push(Chunk(std::string(view)), last);
  // A long answer would otherwise keep all its pieces until its end, which are sent by then.
  drop_list_.drop_all();
  BorrowedBytes lent = drop_list_.lend(bytes);
  lent.remove_suffix(lent.view().size() - view.size());
  return push(Chunk(std::move(lent)), last);
}

bool Responder::write_file(FileRange range) {
  if (declared_) range.length = std::min(range.length, *declared_);
  total_ = range.length;
  sent_ += range.length;
  const bool coded = takes_file_for_coding(range);
  if (!body_allowed_) return push({}, true);
  if (coded) return write_coded_file(std::move(range));
  if (declared_ && sent_ < *declared_) {
    return push(Chunk(std::move(range)), false) && finish();
  }
  return push(Chunk(std::move(range)), true);
}

// Whether the field names the file that is to be sent: the client is not told which.
bool Responder::take_name(std::string_view field, std::string_view value) {
  if (!equals_ignoring_case(field, path_field) && !equals_ignoring_case(field, target_field)) {
    return false;
  }
  if (named_)
    complaint_ = "the answer names two files; the first, " + named_->value + ", is not sent";
  named_ = {std::string(field), std::string(value)};
  return true;
}

bool Responder::send_named_file() {
  const NamedFile named = *std::exchange(named_, std::nullopt);
  sends_named_file_ = true;
  static_files::NamedFiles& files = *rules_.named_files;
  const auto found = without_gil([&] {
    const bool by_path = equals_ignoring_case(named.field, path_field);
    return by_path ? files.by_path(named.value) : files.by_target(named.value);
  });
  if (found.cannot_be_opened) {
    if (!found.fault.empty()) {
      complaint_ = named.field + ": " + named.value + ": " + found.fault +
                   "; it is answered 503 (raise `ulimit -n` or lower max_connections)";
    }
    answer_plainly(503, refusal_page(short_of_descriptors));
    return true;
  }
  if (!found.file) {
    complaint_ = named.field + ": " + named.value + ": " + found.fault + "; it is answered 404";
    answer_plainly(404, no_file_page);
    return true;
  }
  auto content = static_files::complete_answer(exchange_->request, found.file, *head_);
  end_head();
  coding_settled_ = true;  // there may be another file with it as it is coded
  declared_.reset();
  total_ = content.length;
  sent_ = content.length.value_or(0);
  if (content.chunks.empty()) content.chunks.emplace_back();
  high_water_ =
      std::numeric_limits<std::size_t>::max();  // of files there may be as much as they have
  for (std::size_t i = 0; i < content.chunks.size(); ++i) {
    if (!push(std::move(content.chunks[i]), i + 1 == content.chunks.size())) return false;
  }
  return true;
}

bool Responder::send_head() { return head_sent_ ? look_for_client() : push({}, false); }

bool Responder::look_for_client() {
  if (exchange_->cut()) {
    raise_departed(*exchange_);
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - client_doubted_at_ < look_interval) return true;
  client_doubted_at_ = now;
  exchange_->doubt_client();
  return true;
}

bool Responder::finish() {
  if (finished_ || answered_otherwise()) return true;
  if (named_ && head_sent_ && complaint_.empty()) {
    complaint_ = named_->field + ": " + named_->value + ": what came by write() was sent instead";
  }

  if (!started_) {
    return fail(PyExc_AssertionError, "the application returned without calling start_response");
  }
  if (body_allowed_ && bound() && sent_ < *bound()) {
    complaint_ = "the body is " + std::to_string(*bound() - sent_) +
                 " bytes shorter than its Content-Length of " + std::to_string(*bound()) +
                 "; the connection was closed";
    if (!head_sent_ && !push({}, false)) return false;
    exchange_->abort();
    finished_ = true;
    return true;
  }
  if (coded_ && !coded_->ended()) return finish_coded();
  if (!head_sent_ && !total_) total_ = 0;
  return push({}, true);
}

// Of the two ways to answer, the one that comes first.
bool Responder::claim_answer() {
  if (!bridge_) return true;
  const bool goes_on = switches() && !may_switch_;
  if (goes_on ? !bridge_->let_pass() : !bridge_->take_away()) return false;
  exchange_->response = std::move(*own_head_);
  head_ = &exchange_->response;
  return true;
}

bool Responder::is_event_stream() const {
  constexpr std::string_view type = "text/event-stream";
  return std::ranges::any_of(head_->fields(), [&](const FieldLine& field) {
    return equals_ignoring_case(head_->view(field.name), "Content-Type") &&
           equals_ignoring_case(head_->view(field.value).substr(0, type.size()), type);
  });
}

// An answer that goes on for long gets a thread of its own, one that is known to before its head is
// sent. False: there is none for that.
bool Responder::keep_pool_free(bool begins) {
  if (lives_long_) return true;
  if (begins && is_event_stream()) return lives_long_ = Worker::leave_pool_for(*exchange_);
  if (rules_.long_lived_after.count() == 0 || begins) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now < lives_long_at_) return true;
  lives_long_at_ = now + rules_.long_lived_after;
  lives_long_ = Worker::leave_pool_for(*exchange_);  // else it stays where it is
  return true;
}

void Responder::step_aside() {
  aside_ = true;
  own_head_ = std::make_unique<ResponseHead>();
  head_ = own_head_.get();
  started_ = head_sent_ = finished_ = false;
  declared_.reset();
  total_.reset();
}

bool Responder::push(Chunk chunk, bool last) {
  leave_if_forked(*exchange_);
  if (answered_otherwise()) {
    finished_ |= last;
    return true;
  }
  const bool begins = !head_sent_;
  if (!last && !keep_pool_free(begins)) {
    turn_away();
    PyErr_SetString(runtime().client_disconnected, "there is no thread for an event stream");
    return false;
  }
  if (begins && !claim_answer()) return true;
  if (begins) settle_head();
  bool more_soon = false;
  if (last) {
    finished_ = true;
    last = !switches();  // what follows is not this answer's
  }
  if (last) {
    if (trailers_ && coding_) trailers_ = compression::without_digests(std::move(trailers_));
    if (trailers_ && may_have_trailers(exchange_->request, exchange_->response_body)) {
      exchange_->response_trailers = std::move(trailers_);
    }
    more_soon = queue_.more_queued();
  }
  if (rules_.cache) record(chunk, begins);
  if (begins && !rules_.marks.empty()) mark_answer();
  const auto outcome = exchange_->push(std::move(chunk), high_water_, last, more_soon);
  // The tick sees to answers that wait for more; this order of looking cannot miss its sleep.
  if (more_soon && queue_.tick_sleeps()) exchange_->flush();
  if (begins && bridge_ && switches() && !may_switch_) bridge_->open();
  return await_room(outcome);
}

// After what was handed to the exchange, which may be over, or full. The application may call
// write() on a thread of its own and return meanwhile: then this object is gone when the wait is
// over.
bool Responder::await_room(Exchange::Push outcome) {
  if (outcome == Exchange::Push::ok) return true;
  const auto exchange = exchange_;
  if (outcome == Exchange::Push::full &&
      without_gil([&] { return exchange->wait_writable() == Exchange::Push::ok; })) {
    return true;
  }
  raise_departed(*exchange);
  return false;
}

// Not of what is written down to be given again: each answer has its own request's.
void Responder::mark_answer() {
  for (const std::string_view mark : rules_.marks) {
    const auto is_marked = [&](const FieldLine& field) {
      return equals_ignoring_case(head_->view(field.name), mark);
    };
    if (std::ranges::any_of(head_->fields(), is_marked)) continue;
    const auto value = exchange_->request.first(mark);
    if (!value.empty()) head_->add_field(mark, value);
  }
}

// What leaves is written down as it does, and kept before the client has the end of it: its next
// request finds it.
void Responder::record(const Chunk& chunk, bool begins) {
  if (begins) recording_ = rules_.cache->begin(*exchange_);
  if (!recording_) return;
  const bool has_trailers = trailers_ || exchange_->response_trailers;
  const bool is_kept = !sends_named_file_ && !has_trailers && complaint_.empty();
  if (!is_kept || !recording_->add(chunk)) return recording_.reset();
  if (!finished_) return;
  rules_.cache->keep(*recording_, *exchange_);
  recording_.reset();
}

bool Responder::inform(ResponseHead head) {
  if (exchange_->request.version == HttpVersion{1, 0} || answered_otherwise()) return true;
  return await_room(exchange_->inform(std::move(head), rules_.high_water));
}

void Responder::answer_plainly(int status, std::string_view page) {
  begin(status, reason_phrase(status));
  head_->add_field("Content-Type", "text/plain; charset=utf-8");
  if (status == 503) head_->add_field("Retry-After", "1");
  if (may_name_protocols(status, exchange_->request.version)) {  // 426: RFC 6455 section 4.4
    add_field("Upgrade", "websocket");
    add_field("Sec-WebSocket-Version", "13");
  }
  end_head();
  coding_settled_ = true;
  trailers_.reset();
  total_ = page.size();
  if (!push(body_allowed_ ? Chunk(std::string(page)) : Chunk(), true)) PyErr_Clear();
}

}  // namespace prowingen::wsgi
