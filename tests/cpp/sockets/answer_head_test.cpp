#include "sockets/answer_head.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace prowingen::sockets {
namespace {

constexpr std::string_view switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: x=\r\n\r\n";

TEST(AnswerHead, IsTakenOffTheFront) {
  ResponseHead head;
  const auto progress = read_answer_head(std::string(switching) + "\x81\x01x", head);
  EXPECT_EQ(progress.outcome, HeadOutcome::done);
  EXPECT_EQ(progress.consumed, switching.size());
  EXPECT_EQ(head.status, 101);
  EXPECT_EQ(head.reason, "Switching Protocols");
  EXPECT_EQ(head.wire(),
            "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x=\r\n");
}

TEST(AnswerHead, IsWaitedForHoweverItIsCut) {
  for (std::size_t size = 0; size < switching.size(); ++size) {
    ResponseHead head;
    EXPECT_EQ(read_answer_head(switching.substr(0, size), head).outcome, HeadOutcome::need_more);
  }
}

TEST(AnswerHead, OfAnotherStatusKeepsItsLength) {
  ResponseHead head;
  const auto progress = read_answer_head(
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\nServer: own\r\n\r\nno",
      head);
  EXPECT_EQ(progress.outcome, HeadOutcome::done);
  EXPECT_EQ(head.status, 400);
  EXPECT_TRUE(head.has_server);
  EXPECT_EQ(head.wire(), "Content-Length: 2\r\nServer: own\r\n")
      << "the connection is the server's";
}

TEST(AnswerHead, IsRefusedWhereItIsNone) {
  for (const std::string& text :
       {std::string("nonsense\r\n\r\n"), std::string("HTTP/1.1 10 X\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"), std::string(longest_head + 1, 'x')}) {
    ResponseHead head;
    EXPECT_EQ(read_answer_head(text, head).outcome, HeadOutcome::malformed) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace prowingen::sockets
