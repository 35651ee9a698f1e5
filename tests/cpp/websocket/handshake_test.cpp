#include "websocket/handshake.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>

namespace prowingen::websocket {
namespace {

RequestHead request(std::initializer_list<std::pair<const char*, const char*>> more,
                    const char* method = "GET") {
  RequestHead head;
  head.set_request_line(method, "/", {1, 1});
  head.add_field("Upgrade", "websocket");
  head.add_field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  head.add_field("Sec-WebSocket-Version", "13");
  for (const auto& [name, value] : more) head.add_field(name, value);
  return head;
}

Handshake answer(const RequestHead& head, const Offer& offer = {}) {
  return answer_handshake(head, "http", "example.com", offer);
}

// The example of RFC 6455 section 1.3.
TEST(WebSocketHandshake, IsProvenByTheKey) {
  EXPECT_EQ(answer(request({})).accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketHandshake, AsksForOneAndInOneVersion) {
  RequestHead other;
  other.set_request_line("GET", "/", {1, 1});
  other.add_field("Upgrade", "echo");
  EXPECT_EQ(answer(other).status, 426);
  EXPECT_EQ(answer(request({{"Sec-WebSocket-Version", "8"}})).status, 426);
}

TEST(WebSocketHandshake, IsAGet) { EXPECT_EQ(answer(request({}, "POST")).status, 400); }

TEST(WebSocketHandshake, TakesTheApplicationsFirstSubprotocolThatTheClientKnows) {
  Offer offer;
  offer.subprotocols = {"b", "a"};
  EXPECT_EQ(answer(request({{"Sec-WebSocket-Protocol", "a, b"}}), offer).subprotocol, "b");
  EXPECT_EQ(
      answer(request({{"Sec-WebSocket-Protocol", "x"}, {"sec-websocket-protocol", "a"}}), offer)
          .subprotocol,
      "a");
  EXPECT_EQ(answer(request({{"Sec-WebSocket-Protocol", "x"}}), offer).subprotocol, "");
}

TEST(WebSocketHandshake, IsForPagesOfItsOwnHost) {
  Offer offer;
  offer.same_origin = true;
  EXPECT_EQ(answer(request({}), offer).status, 101) << "no browser";
  EXPECT_EQ(answer(request({{"Origin", "http://example.com"}}), offer).status, 101);
  EXPECT_EQ(answer(request({{"Origin", "https://EXAMPLE.com"}}), offer).status, 101)
      << "a proxy may have taken TLS off";
  EXPECT_EQ(answer(request({{"Origin", "http://example.com:80"}}), offer).status, 101);
  EXPECT_EQ(answer(request({{"Origin", "http://example.com:8080"}}), offer).status, 403);
  EXPECT_EQ(answer(request({{"Origin", "evil://example.com"}}), offer).status, 403);
  EXPECT_EQ(answer(request({{"Origin", "null"}}), offer).status, 403);
  const auto secure =
      answer_handshake(request({{"Origin", "http://example.com"}}), "https", "example.com", offer);
  EXPECT_EQ(secure.status, 403) << "a page that anybody on the way may have written";
  EXPECT_EQ(answer_handshake(request({{"Origin", "http://"}}), "http", "", offer).status, 403);
}

TEST(WebSocketHandshake, AgreesOnTheFirstCompressionThatCanBe) {
  const auto agreed = answer(
      request({{"Sec-WebSocket-Extensions",
                "x-other; a=\"b\", permessage-deflate; server_max_window_bits=8"},
               {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=11"}}));
  EXPECT_TRUE(agreed.compression.agreed);
  EXPECT_EQ(agreed.compression.client_window, 11);
  EXPECT_EQ(agreed.compression.server_window, 15);
}

TEST(WebSocketHandshake, LimitsTheClientsWindowOnlyIfItTakesThat) {
  Offer offer;
  offer.compression.client_window = 10;
  offer.compression.client_keeps = true;
  const auto takes = answer(
      request({{"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"}}), offer);
  EXPECT_EQ(takes.extensions,
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10");
  const auto takes_none =
      answer(request({{"Sec-WebSocket-Extensions", "permessage-deflate"}}), offer);
  EXPECT_EQ(takes_none.compression.client_window, 15);
}

}  // namespace
}  // namespace prowingen::websocket
