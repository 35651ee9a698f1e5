// One request's answer: a head, then pieces of a body, checked against it and handed to the
// exchange. With the GIL; functions that can wait give it up.
#pragma once

#include <Python.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange.h"
#include "core/options.h"
#include "core/work_queue.h"
#include "http/response_policy.h"
#include "response_cache/response_cache.h"
#include "sockets/bridge.h"
#include "wsgi/drop_list.h"

namespace prowingen::compression {
class Rules;
enum class Coding : std::uint8_t;
}  // namespace prowingen::compression

namespace prowingen::static_files {
class NamedFiles;
}

namespace prowingen::wsgi {

class CodedBody;
class LeftOutFields;

/// What all answers of a server have in common.
struct AnswerRules {
  explicit AnswerRules(const Options& options,
                       std::shared_ptr<static_files::NamedFiles> files = nullptr,
                       std::shared_ptr<response_cache::ResponseCache> cache = nullptr);

  std::size_t high_water;
  std::string transport_security;  // what goes with answers by HTTPS (RFC 6797); empty: nothing
  std::chrono::nanoseconds long_lived_after;  // of an answer; 0: never
  /// What X-Sendfile and X-Accel-Redirect may name; null: they are fields like any other.
  std::shared_ptr<static_files::NamedFiles> named_files;
  /// Where answers are kept that may be; null: nowhere.
  std::shared_ptr<response_cache::ResponseCache> cache;
  std::shared_ptr<const compression::Rules> compression;  // null: nothing is compressed
  /// Fields by which others find a request again, that its answer has too.
  std::vector<std::string_view> marks;
};

class Responder {
 public:
  Responder(std::shared_ptr<Exchange> exchange, WorkQueue& queue, DropList& drop_list,
            LeftOutFields& left_out, const AnswerRules& rules)
      : exchange_(std::move(exchange)),
        queue_(queue),
        drop_list_(drop_list),
        left_out_(left_out),
        rules_(rules),
        is_connect_(exchange_->request.method() == "CONNECT"),
        lives_long_at_(exchange_->taken_at + rules.long_lived_after),
        client_doubted_at_(exchange_->taken_at) {}
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  /// The application has a socket, by which it may answer instead: then what it says here is no
  /// answer, and not sent.
  void offer_socket(std::shared_ptr<sockets::Bridge> bridge) {
    bridge_ = std::move(bridge);
    own_head_ = std::make_unique<ResponseHead>();
    head_ = own_head_.get();
  }
  /// By its socket, or by another who had step_aside() called.
  bool answered_otherwise() const { return aside_ || (bridge_ && bridge_->has_answered()); }
  /// What was sent is the answer: whatever the application says from now on is not.
  void step_aside();

  // The head, which may be begun anew until it is sent: begin(), fields, end_head().

  void begin(int status, std::string_view reason);
  /// What is wrong with the field; nothing if it was added, or has no meaning in an answer and was
  /// left out.
  std::optional<FieldFault> add_field(std::string_view name, std::string_view value);
  void end_head();
  /// The application knows what is to be spoken after an answer of status 101, which may be given
  /// from now on.
  void let_switch() { may_switch_ = true; }
  bool may_switch() const { return may_switch_ || bridge_; }
  /// The answer is one of status 101, or a CONNECT's of 2xx: another protocol follows it.
  bool switches() const { return started_ && is_switch(head_->status); }
  bool is_connect() const { return is_connect_; }
  /// Whether an answer of this status is followed by another protocol.
  bool is_switch(int status) const { return status == 101 || (is_connect_ && status / 100 == 2); }

  // Each of these: false with a Python error set.

  /// The head alone, before any of the body is there.
  bool send_head();
  /// One piece of the body, an object of the type `bytes`. `last`: nothing follows.
  bool write(PyObject* bytes, bool last);
  /// A file range as the whole body.
  bool write_file(FileRange range);
  /// The head names a file, which is the whole body.
  bool names_file() const {
    return named_ && started_ && !head_sent_ && !answered_otherwise() && !switches();
  }
  bool send_named_file();
  /// The application is done.
  bool finish();
  /// An interim answer, before the head. Dropped for a client that knows of none (HTTP/1.0).
  bool inform(ResponseHead head);
  /// For who sends nothing now, and would go on though the client is gone: has it looked for now
  /// and then.
  bool look_for_client();

  /// What is sent where one request more that lives long is not taken.
  static constexpr std::string_view no_thread_page =
      "As many long-lived requests as the server takes\n";
  /// An answer of the server's own after the application failed before its head went out.
  void answer_plainly(int status, std::string_view page);
  /// The same where one request more that lives long is not taken.
  void turn_away() { answer_plainly(503, no_thread_page); }

  /// What is to follow the body, unless it cannot: see may_have_trailers(). In place of what was
  /// set before.
  void set_trailers(std::unique_ptr<FieldSection> trailers) { trailers_ = std::move(trailers); }
  /// The whole body's length is known before any of it is sent.
  void set_total(std::uint64_t size) {
    if (sent_ == 0) total_ = size;  // else write() has given a part of it, or is about to
  }
  Exchange& exchange() const { return *exchange_; }
  bool started() const { return started_; }
  bool head_sent() const { return head_sent_; }
  bool finished() const { return finished_; }
  /// The client has, or is on its way to have, all that the head announced.
  bool sent_all() const {
    return head_sent_ && (!body_allowed_ || (sent_ == bound() && coded_to_its_end()));
  }
  bool body_allowed() const { return body_allowed_; }
  std::optional<std::uint64_t> declared() const { return declared_; }
  /// Why the answer is not what the application meant, for the log; empty if it is.
  const std::string& complaint() const { return complaint_; }

 private:
  void add_hop_by_hop(ResponseField kind, std::string_view name, std::string_view value);
  void name_protocol();
  bool wants_chunks() const;
  void settle_head();
  void add_transport_security();
  bool send_as_it_is(PyObject* bytes, std::size_t size, bool last);

  // ---- compressing it: responder_coding.cpp

  void settle_coding(std::optional<std::uint64_t> size);
  void settle_coded_head();
  void send_uncoded();
  bool write_coded(PyObject* bytes, std::size_t size, bool last);
  bool takes_file_for_coding(const FileRange& range);
  bool write_coded_file(FileRange range);
  bool finish_coded();
  bool code_and_push(std::string_view piece, PyObject* bytes, bool complete, bool last);
  bool coded_to_its_end() const;
  bool push_coded(bool last);

  bool push(Chunk chunk, bool last);
  bool await_room(Exchange::Push outcome);
  void record(const Chunk& chunk, bool begins);
  void mark_answer();
  bool claim_answer();
  bool take_name(std::string_view field, std::string_view value);

  bool is_event_stream() const;
  bool keep_pool_free(bool begins);
  /// What the client was or will be told that the body's length is.
  std::optional<std::uint64_t> bound() const {
    return declared_ || !head_sent_ ? declared_ : total_;
  }

  const std::shared_ptr<Exchange> exchange_;
  WorkQueue& queue_;
  DropList& drop_list_;
  LeftOutFields& left_out_;
  const AnswerRules& rules_;
  std::shared_ptr<sockets::Bridge> bridge_;  // null: it has no socket
  // With a socket the head is the exchange's only once it is the answer's.
  std::unique_ptr<ResponseHead> own_head_;
  ResponseHead* head_ = &exchange_->response;
  const bool is_connect_;
  SteadyTime lives_long_at_;  // it is thought so then, or again
  SteadyTime client_doubted_at_;
  bool started_ = false;
  bool head_sent_ = false;
  bool finished_ = false;
  bool body_allowed_ = true;
  bool may_switch_ = false;
  bool aside_ = false;
  bool lives_long_ = false;
  std::optional<std::uint64_t> declared_;  // Content-Length of the application
  std::optional<std::uint64_t> total_;
  std::uint64_t sent_ = 0;
  std::unique_ptr<FieldSection> trailers_;
  struct NamedFile {
    std::string field;
    std::string value;
  };
  std::optional<NamedFile> named_;
  bool sends_named_file_ = false;
  std::unique_ptr<response_cache::Recording> recording_;  // null: the answer is not kept
  bool coding_settled_ = false;
  std::optional<compression::Coding> coding_;  // of the content; none: it is as it is
  std::shared_ptr<CodedBody> coded_;           // null: the same, or there is none
  std::optional<std::uint64_t> coded_length_;  // of what it becomes; none: not known yet
  std::string coded_out_;                      // of that, what is not sent yet
  std::string uncoded_;                        // what has come, and is not coded yet
  bool ends_ = false;                          // no more is to come

  std::size_t high_water_ = rules_.high_water;

  std::string complaint_;
};

}  // namespace prowingen::wsgi
