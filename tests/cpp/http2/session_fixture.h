// A session, with what its owner keeps of it, and at its other end a client that is nghttp2's own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http2/session.h"

namespace prowingen::http2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// The client's side: what it sends is put together by nghttp2, what comes is kept.
class Client {
 public:
  struct Answer {
    Fields fields;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> reset;
  };

  /// `extensible`: it speaks of priorities by RFC 9218 and not by RFC 7540.
  explicit Client(std::uint32_t window, bool extensible) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                              {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, extensible ? 2 : 1);
  }
  ~Client() { nghttp2_session_del(session_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// A request's number. With a body, whose end comes with it unless `open`.
  std::int32_t ask(const Fields& extra = {}, std::optional<std::string> body = {},
                   bool open = false) {
    Fields fields{{":method", body ? "POST" : "GET"},
                  {":scheme", "http"},
                  {":authority", "a"},
                  {":path", "/"}};
    fields.insert(fields.end(), extra.begin(), extra.end());
    std::vector<nghttp2_nv> block;
    for (auto& [name, value] : fields) block.push_back(field(name, value));
    nghttp2_data_provider provider{{.ptr = this}, give};
    const auto id = nghttp2_submit_request(session_, nullptr, block.data(), block.size(),
                                           body ? &provider : nullptr, nullptr);
    if (body) bodies_[id] = {.bytes = *body, .open = open};
    return id;
  }
  /// Ends an open body with a trailer section.
  void end_with(std::int32_t id, Fields trailers) {
    std::vector<nghttp2_nv> block;
    for (auto& [name, value] : trailers) block.push_back(field(name, value));
    bodies_[id].trailers_follow = true;
    nghttp2_session_resume_data(session_, id);
    nghttp2_submit_trailer(session_, id, block.data(), block.size());
  }
  void reset(std::int32_t id) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  void ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
  /// Of each stream.
  void set_window(std::uint32_t size) {
    const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, size};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
  }
  void open_window(std::int32_t id, std::int32_t size) {
    nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, id, size);
  }

  std::string output() {
    std::string all;
    const std::uint8_t* octets = nullptr;
    for (;;) {
      const auto size = nghttp2_session_mem_send(session_, &octets);
      if (size <= 0) return all;
      all.append(reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size));
    }
  }
  void input(std::string_view bytes) {
    nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                             bytes.size());
  }

  std::map<std::int32_t, Answer> answers;
  std::vector<std::pair<std::int32_t, std::uint32_t>> goaways;  // last stream, error
  std::vector<std::int32_t> order;                              // of the frames of content
  std::uint64_t sent = 0;                                       // of bodies

 private:
  struct Body {
    std::string bytes;
    bool open = false;
    bool trailers_follow = false;
  };

  static nghttp2_nv field(std::string& name, std::string& value) {
    return {reinterpret_cast<std::uint8_t*>(name.data()),
            reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
            NGHTTP2_NV_FLAG_NONE};
  }
  static Client& self(void* user) { return *static_cast<Client*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    self(user).answers[frame->hd.stream_id].fields.emplace_back(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* octets,
                     std::size_t size, void* user) {
    self(user).answers[id].body.append(reinterpret_cast<const char*>(octets), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Client& me = self(user);
    if (frame->hd.type == NGHTTP2_DATA) me.order.push_back(frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      me.answers[frame->hd.stream_id].reset = frame->rst_stream.error_code;
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
      me.goaways.emplace_back(frame->goaway.last_stream_id, frame->goaway.error_code);
    } else if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      me.answers[frame->hd.stream_id].ended = true;
    }
    return 0;
  }
  static ssize_t give(nghttp2_session*, std::int32_t id, std::uint8_t* into, std::size_t most,
                      std::uint32_t* flags, nghttp2_data_source* source, void*) {
    Client& me = self(source->ptr);
    auto& [body, open, trailers_follow] = me.bodies_[id];
    if (body.empty() && trailers_follow) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      return 0;
    }
    if (body.empty() && open) return NGHTTP2_ERR_DEFERRED;
    const auto size = std::min(most, body.size());
    std::copy_n(body.data(), size, into);
    body.erase(0, size);
    me.sent += size;
    if (body.empty() && !open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Body> bodies_;
};

struct Request final : Stream {
  RequestHead head;
  HeadReader::Result result;
  std::string body;
  std::string answer;  // still to be sent
  bool more = false;   // will follow it
  bool whole = false;
  bool written = false;
  bool failed = false;
  bool fails = false;
  Fields trailers;
  Verdict trailers_refused = nullptr;
  std::vector<HeaderField> answer_trailers;
  std::optional<std::uint32_t> closed;
};

/// A session, what it has told, and a client at its other end.
class Http2Session : public testing::Test, public Streams {
 protected:
  Stream* open(std::int32_t id, RequestHead*& head) override {
    if (requests.size() == most_requests) return nullptr;
    auto& request = requests[id];
    request = std::make_unique<Request>();
    head = &request->head;
    return request.get();
  }
  void on_request(Stream& stream, const HeadReader::Result& head) override {
    auto& request = static_cast<Request&>(stream);
    request.result = head;
    request.whole = stream.request_whole;
  }
  void on_body(Stream& stream, std::string_view bytes) override {
    static_cast<Request&>(stream).body.append(bytes);
    if (consumes) session->consume(stream, bytes.size());
  }
  void on_trailer(Stream& stream, std::string_view name, std::string_view value) override {
    static_cast<Request&>(stream).trailers.emplace_back(name, value);
  }
  void on_bad_trailers(Stream& stream, Verdict verdict) override {
    static_cast<Request&>(stream).trailers_refused = verdict;
  }
  void on_request_end(Stream& stream) override { static_cast<Request&>(stream).whole = true; }
  void on_closed(Stream& stream, std::uint32_t error) override {
    static_cast<Request&>(stream).closed = error;
  }
  Offer offer(Stream& stream, std::size_t most) override {
    auto& request = static_cast<Request&>(stream);
    const auto size = std::min(most, request.answer.size());
    if (request.fails) return {.failed = true};
    const bool end = size == request.answer.size() && !request.more;
    return {.size = size, .end = end, .trailers = request.answer_trailers};
  }
  bool take(Stream& stream, std::size_t size, std::string& out) override {
    auto& request = static_cast<Request&>(stream);
    if (size > request.answer.size()) return false;
    out.append(request.answer, 0, size);
    request.answer.erase(0, size);
    return true;
  }
  bool on_answer_written(Stream& stream) override {
    return static_cast<Request&>(stream).written = true;
  }

  void on_answer_failed(Stream& stream, std::string_view) override {
    static_cast<Request&>(stream).failed = true;
  }

  void start(Settings settings = {}, std::uint32_t client_window = 65535, bool extensible = true) {
    session = std::make_unique<Session>(*this, settings);
    client = std::make_unique<Client>(client_window, extensible);
  }
  /// Lets both sides say all that they have to. Of the session, whether it goes on.
  bool talk() {
    bool goes_on = true;
    for (;;) {
      const std::string asked = client->output();
      if (!asked.empty()) goes_on = session->receive(asked, now) && goes_on;
      std::string said;
      session->write(said, SIZE_MAX);
      client->input(said);
      if (asked.empty() && said.empty()) return goes_on;
    }
  }
  void answer(std::int32_t id, std::string body, bool more = false) {
    Request& request = *requests.at(id);
    request.answer = std::move(body);
    request.more = more;
    const HeaderField fields[] = {{"X-Thing", "1"}};
    session->answer(request, 200, fields, true);
  }

  std::unique_ptr<Session> session;
  std::unique_ptr<Client> client;
  std::map<std::int32_t, std::unique_ptr<Request>> requests;
  std::size_t most_requests = SIZE_MAX;
  bool consumes = true;
  Session::Time now = std::chrono::steady_clock::now();
};

}  // namespace prowingen::http2
