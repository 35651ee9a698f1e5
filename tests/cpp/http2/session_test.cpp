// Requests and answers of a session, their windows, and how it ends.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "http2/session.h"
#include "http2/session_fixture.h"

namespace prowingen::http2 {
namespace {

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
