// A session against a client that is nghttp2's own, and against bytes that no client sends.
#include "http2/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace prowingen::http2 {
namespace {

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

TEST_F(Http2Session, RequestComesAsHttp1ShowsIt) {
  start();
  const auto id = client->ask({{"cookie", "a=b"}, {"x-thing", "1"}, {"cookie", "c=d"}});
  EXPECT_TRUE(talk());
  const Request& request = *requests.at(id);
  EXPECT_EQ(request.result.outcome, HeadReader::Outcome::accepted);
  EXPECT_TRUE(request.whole);
  EXPECT_EQ(request.head.method(), "GET");
  EXPECT_EQ(request.head.target(), "/");
  EXPECT_EQ(request.head.version, http_2);
  EXPECT_EQ(request.head.first("host"), "a");
  EXPECT_EQ(request.head.first("cookie"), "a=b; c=d");
  EXPECT_EQ(request.head.first("x-thing"), "1");
}

TEST_F(Http2Session, HostThatSaysTheSameIsOneField) {
  start();
  const auto id = client->ask({{"host", "A"}});
  talk();
  EXPECT_EQ(requests.at(id)->result.outcome, HeadReader::Outcome::accepted);
  EXPECT_EQ(requests.at(id)->head.fields().size(), 1U);
}

TEST_F(Http2Session, HostThatContradictsMakesTheRequestMalformed) {
  start();
  const auto id = client->ask({{"host", "b"}});
  EXPECT_TRUE(talk());
  EXPECT_EQ(client->answers[id].reset, NGHTTP2_PROTOCOL_ERROR);
  EXPECT_TRUE(requests.at(id)->closed);
}

TEST_F(Http2Session, NothingIsToldOfWhatFollowsAMalformedHead) {
  start();
  const auto id = client->ask({{"host", "b"}}, "a body that comes with it");
  EXPECT_TRUE(talk());
  EXPECT_EQ(client->answers[id].reset, NGHTTP2_PROTOCOL_ERROR);
  EXPECT_FALSE(requests.at(id)->whole);
  EXPECT_EQ(requests.at(id)->body, "");
}

TEST_F(Http2Session, WhatThePolicyRefusesIsAnswered) {
  start({.limits = {.max_header_bytes = 1000, .max_header_fields = 3}});
  const auto id = client->ask({{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}});
  const auto large = client->ask({{"a", std::string(10'000, 'x')}});
  EXPECT_TRUE(talk());
  EXPECT_EQ(requests.at(id)->result.verdict->status, 431);
  EXPECT_EQ(requests.at(large)->result.verdict->status, 431);
}

TEST_F(Http2Session, HeadThatIsManyTimesTooLargeEndsTheConnection) {
  start({.limits = {.max_request_line = 100, .max_header_bytes = 1000}});
  client->ask({{"a", std::string(30'000, 'x')}});
  EXPECT_FALSE(talk());
  ASSERT_EQ(client->goaways.size(), 1U);
  EXPECT_EQ(client->goaways[0].second, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2Session, AnswerIsSentAndTheStreamIsOver) {
  start();
  const auto id = client->ask();
  talk();
  answer(id, "hello");
  talk();
  const auto& seen = client->answers[id];
  EXPECT_EQ(seen.fields, (Fields{{":status", "200"}, {"x-thing", "1"}}));
  EXPECT_EQ(seen.body, "hello");
  EXPECT_TRUE(seen.ended);
  EXPECT_TRUE(requests.at(id)->written);
  EXPECT_EQ(requests.at(id)->closed, NGHTTP2_NO_ERROR);
  EXPECT_EQ(session->open_streams(), 0U);
}

TEST_F(Http2Session, SmallAnswerIsOneHeadAndOneFrameThatEndsIt) {
  start();
  const auto id = client->ask();
  talk();
  answer(id, "hello");
  talk();
  EXPECT_EQ(client->order.size(), 1U);
}

TEST_F(Http2Session, MalformedHeadLeavesNoneUnfinished) {
  start();
  client->ask({{"host", "b"}});
  EXPECT_TRUE(talk());
  EXPECT_FALSE(session->in_head());
  const auto id = client->ask({{"x", "a\x01b"}});  // which nghttp2 refuses
  EXPECT_TRUE(talk());
  EXPECT_FALSE(session->in_head());
  EXPECT_TRUE(client->answers[id].reset);
}

TEST_F(Http2Session, PartOfAHeadIsAnUnfinishedOne) {
  start();
  client->ask({{"x", "a value that is cut"}});
  const std::string asked = client->output();
  session->receive(asked.substr(0, asked.size() - 5), now);
  EXPECT_TRUE(session->in_head());
  session->receive(asked.substr(asked.size() - 5), now);
  EXPECT_FALSE(session->in_head());
}

TEST_F(Http2Session, HeadMayBeAsLargeAsTheApplicationMakesIt) {
  start();
  const auto id = client->ask();
  talk();
  const std::string large(100'000, 'x');
  const HeaderField fields[] = {{"x", large}};
  session->answer(*requests.at(id), 200, fields, false);
  std::string out;
  session->write(out, SIZE_MAX);
  EXPECT_GT(out.size(), 60'000U);
  EXPECT_FALSE(requests.at(id)->failed);
}

TEST_F(Http2Session, HeadThatCannotBeSentFailsItsStreamAlone) {
  start();
  const auto id = client->ask();
  const auto other = client->ask();
  talk();
  const std::string large(20'000'000, 'x');
  const HeaderField fields[] = {{"x", large}};
  session->answer(*requests.at(id), 200, fields, false);
  answer(other, "whole");
  talk();
  EXPECT_TRUE(requests.at(id)->failed);
  EXPECT_EQ(client->answers[id].reset, NGHTTP2_INTERNAL_ERROR);
  EXPECT_EQ(client->answers[other].body, "whole");
}

TEST_F(Http2Session, HeadThatNobodyTakesAnyMoreHasNotFailed) {
  start();
  const auto id = client->ask();
  const auto other = client->ask();
  talk();
  answer(other, "lost");
  client->reset(other);
  session->receive(client->output(), now);
  session->terminate(ErrorCode::protocol_error);  // for something else that its client did
  answer(id, "late");
  talk();
  EXPECT_FALSE(requests.at(id)->failed);
  EXPECT_FALSE(requests.at(other)->failed);
}

TEST_F(Http2Session, InterimAnswersComeFirst) {
  start();
  const auto id = client->ask();
  talk();
  session->inform(*requests.at(id), 103, {});
  talk();
  EXPECT_EQ(client->answers[id].fields, (Fields{{":status", "103"}}));
  answer(id, "hello");
  talk();
  EXPECT_EQ(client->answers[id].body, "hello");
}

TEST_F(Http2Session, TrailersEndAnAnswer) {
  start();
  for (const auto text : {"some text", ""}) {
    const auto id = client->ask();
    talk();
    requests[id]->answer = text;
    requests[id]->answer_trailers = {{"X-Checksum", "1"}, {"x-two", "b"}};
    session->answer(*requests[id], 200, {}, true);
    talk();
    EXPECT_EQ(client->answers[id].body, text);
    EXPECT_EQ(client->answers[id].fields,
              (Fields{{":status", "200"}, {"x-checksum", "1"}, {"x-two", "b"}}));
    EXPECT_TRUE(client->answers[id].ended);
    EXPECT_TRUE(requests[id]->written);
    EXPECT_EQ(requests[id]->closed, 0U);
  }
}

TEST_F(Http2Session, TrailersOfARequestAreToldBeforeItsEnd) {
  start();
  const auto id = client->ask({}, "abc", true);
  talk();
  EXPECT_FALSE(requests[id]->whole);
  client->end_with(id, {{"x-checksum", "1"}, {"content-type", "late"}, {"etag", "b"}});
  talk();
  EXPECT_TRUE(requests[id]->whole);
  EXPECT_EQ(requests[id]->trailers, (Fields{{"x-checksum", "1"}, {"etag", "b"}}));
  EXPECT_EQ(requests[id]->trailers_refused, nullptr);
  EXPECT_TRUE(requests[id]->head.first("x-checksum").empty());
}

TEST_F(Http2Session, TrailersThatThePolicyRefusesAreTold) {
  start({.limits = {.max_trailer_bytes = 30}});
  for (const auto& [name, value, fault] :
       {std::tuple{"host", "b", RequestFault::forbidden_trailer},
        std::tuple{"x", "0123456789012345678901234567890", RequestFault::trailers_too_large}}) {
    const auto id = client->ask({}, "abc", true);
    talk();
    client->end_with(id, {{name, value}, {"x-more", ""}});
    talk();
    EXPECT_EQ(requests[id]->trailers_refused, &refusal(fault));
    EXPECT_TRUE(requests[id]->trailers.empty());
    EXPECT_TRUE(requests[id]->whole);
  }
}

TEST_F(Http2Session, TrailersThatAreManyTimesTooLargeEndTheConnection) {
  start({.limits = {.max_header_bytes = 1000, .max_trailer_bytes = 1000}});
  const auto id = client->ask({}, "abc", true);
  talk();
  client->end_with(id, Fields(21, {"x", std::string(1000, 'y')}));
  EXPECT_FALSE(talk());
  ASSERT_FALSE(client->goaways.empty());
  EXPECT_EQ(client->goaways.back().second, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2Session, ContentIsAskedForAgainWhenThereIsSome) {
  start();
  const auto id = client->ask();
  talk();
  answer(id, "", true);
  talk();
  EXPECT_EQ(client->answers[id].body, "");
  requests.at(id)->answer = "late";
  requests.at(id)->more = false;
  session->resume(*requests.at(id));
  talk();
  EXPECT_EQ(client->answers[id].body, "late");
  EXPECT_TRUE(client->answers[id].ended);
}

TEST_F(Http2Session, NoMoreIsTakenThanTheClientsWindowLets) {
  start({}, 100);
  const auto id = client->ask();
  talk();
  answer(id, std::string(250, 'x'));
  talk();
  EXPECT_EQ(client->answers[id].body.size(), 100U);
  client->open_window(id, 60);
  talk();
  EXPECT_EQ(client->answers[id].body.size(), 160U);
  EXPECT_EQ(requests.at(id)->answer.size(), 90U);
}

TEST_F(Http2Session, WindowThatSettingsOpenTooFarEndsTheConnection) {
  constexpr std::int32_t all = 0x7FFFFFFF;
  for (const std::uint32_t size : {65'535, 65'536}) {
    requests.clear();
    start({}, 65'535);
    const auto id = client->ask();
    EXPECT_TRUE(talk());
    client->open_window(id, all - 65'535);
    EXPECT_TRUE(talk());
    client->set_window(size);
    EXPECT_EQ(talk(), size == 65'535);
    if (size == 65'535) continue;
    ASSERT_EQ(client->goaways.size(), 1U);
    EXPECT_EQ(client->goaways[0].second, NGHTTP2_FLOW_CONTROL_ERROR);
  }
}

TEST_F(Http2Session, IncrementalAnswersTakeTurns) {
  start({}, 1 << 20);
  const auto first = client->ask({{"priority", "i"}});
  const auto second = client->ask({{"priority", "i"}});
  client->open_window(0, 1 << 20);
  talk();
  answer(first, std::string(200'000, 'x'));
  answer(second, std::string(200'000, 'y'));
  talk();
  ASSERT_GT(client->order.size(), 20U);
  for (std::size_t i = 1; i < 20; ++i) EXPECT_NE(client->order[i], client->order[i - 1]);
}

TEST_F(Http2Session, AnswersOfAClientThatSaysNothingTakeTurns) {
  start({}, 1 << 20, false);
  const auto first = client->ask();
  const auto second = client->ask();
  client->open_window(0, 1 << 20);
  talk();
  answer(first, std::string(200'000, 'x'));
  answer(second, std::string(200'000, 'y'));
  talk();
  ASSERT_GT(client->order.size(), 20U);
  for (std::size_t i = 1; i < 20; ++i) EXPECT_NE(client->order[i], client->order[i - 1]);
}

TEST_F(Http2Session, UrgentAnswersGoFirst) {
  start({}, 1 << 20);
  const auto late = client->ask({{"priority", "u=6"}});
  const auto soon = client->ask({{"priority", "u=1"}});
  client->open_window(0, 1 << 20);
  talk();
  answer(late, std::string(100'000, 'x'));
  answer(soon, std::string(100'000, 'y'));
  talk();
  EXPECT_EQ(client->order.front(), soon);
  EXPECT_EQ(client->order.back(), late);
}

TEST_F(Http2Session, WriteStopsAtItsBound) {
  start({}, 1 << 20);
  const auto id = client->ask();
  client->open_window(0, 1 << 20);
  talk();
  answer(id, std::string(500'000, 'x'));
  std::string out;
  session->write(out, 50'000);
  EXPECT_GE(out.size(), 50'000U);
  EXPECT_LT(out.size(), 50'000U + 20'000U);
  EXPECT_TRUE(session->wants_write());
  client->input(out);
  talk();
  EXPECT_EQ(client->answers[id].body.size(), 500'000U);
}

TEST_F(Http2Session, ContentThatIsNotConsumedIsHeldBackByTheWindow) {
  consumes = false;
  start({.stream_window = 100'000});
  const auto id = client->ask({}, std::string(300'000, 'x'));
  talk();
  Request& request = *requests.at(id);
  EXPECT_EQ(request.body.size(), 100'000U);
  EXPECT_EQ(request.unconsumed, 100'000U);
  session->consume(request, request.unconsumed);
  talk();
  EXPECT_EQ(request.body.size(), 200'000U);
  consumes = true;
  session->consume(request, request.unconsumed);
  talk();
  EXPECT_EQ(request.body.size(), 300'000U);
  EXPECT_TRUE(request.whole);
}

TEST_F(Http2Session, StreamThatIsNotReadHoldsUpNoOther) {
  consumes = false;
  start({.stream_window = 100'000, .connection_window = 150'000});
  client->ask({}, std::string(100'000, 'x'));
  talk();
  const auto other = client->ask({}, std::string(90'000, 'y'));
  talk();
  EXPECT_TRUE(requests.at(other)->whole);
}

TEST_F(Http2Session, ClientThatGoesOnAfterTheAnswerIsAskedToStop) {
  start();
  const auto id = client->ask({}, "begun", true);
  talk();
  answer(id, "done");
  talk();
  EXPECT_EQ(client->answers[id].body, "done");
  EXPECT_EQ(client->answers[id].reset, NGHTTP2_NO_ERROR);
}

TEST_F(Http2Session, OneStreamTooManyIsTurnedDown) {
  most_requests = 1;
  start();
  client->ask();
  const auto second = client->ask();
  EXPECT_TRUE(talk());
  EXPECT_EQ(client->answers[second].reset, NGHTTP2_REFUSED_STREAM);
}

TEST_F(Http2Session, ClientsResetEndsTheStream) {
  start();
  const auto id = client->ask();
  talk();
  client->reset(id);
  EXPECT_TRUE(talk());
  EXPECT_EQ(requests.at(id)->closed, NGHTTP2_CANCEL);
}

TEST_F(Http2Session, ContentThatIsGoneCostsTheStreamAlone) {
  start();
  const auto id = client->ask();
  const auto other = client->ask();
  talk();
  answer(id, "0123456789", true);
  answer(other, "whole");
  // Between the offer and the taking.
  std::string out;
  session->write(out, 1);
  requests.at(id)->answer.clear();
  client->input(out);
  talk();
  EXPECT_EQ(client->answers[other].body, "whole");
}

// ---------------------------------------------------------------------------- floods

class Flooded : public Http2Session {
 protected:
  /// How often `step` went before the session ended; it is not more often than `most`.
  template <typename Step>
  int rounds(int most, Step step) {
    for (int round = 0; round < most; ++round) {
      step();
      if (!talk()) return round;
    }
    return most;
  }
  void expect_calm_was_asked_for() {
    ASSERT_FALSE(client->goaways.empty());
    EXPECT_EQ(client->goaways.back().second, NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_TRUE(session->over());
    EXPECT_FALSE(session->fault().empty());
  }
};

TEST_F(Flooded, ByResets) {
  start();
  const auto survived = rounds(2000, [&] {
    const auto id = client->ask();
    talk();
    client->reset(id);
  });
  EXPECT_EQ(survived, 500);
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByResetsThatTheServerIsMadeToSend) {
  start();
  rounds(2000, [&] { client->ask({{"host", "b"}}); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByPings) {
  start();
  rounds(5000, [&] { client->ping(); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByWindowUpdates) {
  start();
  const auto id = client->ask();
  rounds(5000, [&] { client->open_window(id, 1); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByContentThatIsPaddingAlone) {
  start();
  client->ask({}, "begun", true);
  talk();
  const std::string frame("\0\0\2\0\x8\0\0\0\1\1\0", 11);
  int survived = 0;
  while (survived < 1000 && session->receive(frame, now)) ++survived;
  EXPECT_LT(survived, 200);
}

TEST_F(Flooded, ByContentOfAStreamThatWasReset) {
  start();
  const auto id = client->ask({}, "begun", true);
  talk();
  session->reset(*requests.at(id), ErrorCode::cancel);
  std::string said;
  session->write(said, SIZE_MAX);
  const std::string frame("\0\0\1\0\0\0\0\0\1x", 10);
  int survived = 0;
  while (survived < 3000 && session->receive(frame, now)) ++survived;
  EXPECT_LT(survived, 1500);
}

TEST_F(Flooded, NotByAnswersThatFail) {
  start();
  EXPECT_EQ(rounds(1500,
                   [&] {
                     const auto id = client->ask();
                     talk();
                     requests.at(id)->fails = true;
                     answer(id, "begun", true);
                   }),
            1500);
}

TEST_F(Flooded, NotByResetsThatAreTheServersOwn) {
  start();
  EXPECT_EQ(rounds(1500,
                   [&] {
                     const auto id = client->ask();
                     talk();
                     session->reset(*requests.at(id), ErrorCode::internal_error);
                   }),
            1500);
}

TEST_F(Flooded, NotByAClientThatOpensItsWindowsForEach4KiB) {
  start({}, 1 << 20);
  const auto id = client->ask();
  client->open_window(0, 1 << 20);
  talk();
  answer(id, std::string(8 << 20, 'x'));
  talk();
  EXPECT_EQ(rounds(1700,
                   [&] {
                     client->open_window(id, 4096);
                     client->open_window(0, 4096);
                   }),
            1700);
}

TEST_F(Flooded, NotByAClientThatTakesItsTime) {
  start();
  EXPECT_EQ(rounds(3000,
                   [&] {
                     client->ping();
                     now += std::chrono::milliseconds(10);
                   }),
            3000);
}

TEST_F(Flooded, NotByWindowUpdatesForWhatWasSent) {
  start({}, 10);
  const auto id = client->ask();
  talk();
  answer(id, std::string(50'000, 'x'));
  talk();
  EXPECT_EQ(rounds(4000,
                   [&] {
                     client->open_window(id, 10);
                     client->open_window(0, 10);
                   }),
            4000);
  EXPECT_EQ(client->answers[id].body.size(), 40'010U);
}

// ---------------------------------------------------------------------------- closed streams

TEST_F(Http2Session, ContentOfAStreamThatIsOverEndsTheConnection) {
  start();
  const auto id = client->ask();
  talk();
  answer(id, "hello");
  talk();
  const char frame[] = {0, 0, 1, NGHTTP2_DATA, 0, 0, 0, 0, 1, 'x'};
  EXPECT_FALSE(session->receive({frame, sizeof frame}, now));
  talk();
  ASSERT_EQ(client->goaways.size(), 1U);
  EXPECT_EQ(client->goaways[0].second, NGHTTP2_STREAM_CLOSED);
}

TEST_F(Http2Session, ContentOfAStreamThatWasResetHereIsOverlooked) {
  start();
  const auto id = client->ask({}, "begun", true);
  talk();
  std::string said;
  session->reset(*requests.at(id), ErrorCode::cancel);
  session->write(said, SIZE_MAX);  // which the client has not read yet
  const char frame[] = {0, 0, 1, NGHTTP2_DATA, 0, 0, 0, 0, 1, 'x'};
  EXPECT_TRUE(session->receive({frame, sizeof frame}, now));
}

// ---------------------------------------------------------------------------- ends

TEST_F(Http2Session, EndIsAnnouncedBeforeStreamsAreTurnedDown) {
  start();
  const auto first = client->ask();
  talk();
  session->announce_end();
  talk();
  ASSERT_EQ(client->goaways.size(), 1U);
  EXPECT_EQ(client->goaways[0], std::pair(INT32_MAX, std::uint32_t{NGHTTP2_NO_ERROR}));
  session->go_away();
  talk();
  ASSERT_EQ(client->goaways.size(), 2U);
  EXPECT_EQ(client->goaways[1], std::pair(first, std::uint32_t{NGHTTP2_NO_ERROR}));
  EXPECT_FALSE(session->over());
  answer(first, "still answered");
  talk();
  EXPECT_EQ(client->answers[first].body, "still answered");
  EXPECT_TRUE(session->over());
}

TEST_F(Http2Session, BytesThatAreNotHttp2EndIt) {
  start();
  EXPECT_FALSE(session->receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n", now));
  EXPECT_FALSE(session->fault().empty());
}

}  // namespace
}  // namespace prowingen::http2
