// What a client sends, frame by frame: which events it makes, wherever the bytes are cut.
#include "http2/frame_reader.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace prowingen::http2 {
namespace {

std::string field(std::string_view name, std::string_view value) {
  std::string encoded(1, '\0');
  encoded += static_cast<char>(name.size());
  encoded.append(name);
  encoded += static_cast<char>(value.size());
  return encoded.append(value);
}

std::string frame(FrameType type, int flags, int stream, std::string_view payload = {}) {
  std::string octets;
  for (const int shift : {16, 8, 0}) octets += static_cast<char>(payload.size() >> shift);
  octets += static_cast<char>(type);
  octets += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) octets += static_cast<char>(stream >> shift);
  return octets.append(payload);
}

const std::string post = field(":method", "POST") + field(":scheme", "http") + field(":path", "/") +
                         field(":authority", "a");
const std::string beginning = std::string(http2_preface) + frame(FrameType::settings, 0, 0);

/// Writes down what it is told, and resets a stream that has an error, as a session does.
class Record final : public FrameEvents {
 public:
  RequestHead* open(std::int32_t stream) override {
    if (full) return nullptr;
    heads[stream].clear();
    return &heads[stream];
  }
  void on_request(std::int32_t stream, const HeadReader::Result&, bool whole) override {
    add("request", stream, whole ? " whole" : "");
  }
  void on_content(std::int32_t stream, std::string_view bytes, std::size_t padding) override {
    content[stream].append(bytes);
    padded += padding;
  }
  void on_dropped(std::string_view bytes) override { dropped += bytes.size(); }
  void on_trailers(std::int32_t stream, const FieldSection& fields) override {
    add("trailers", stream, " " + std::to_string(fields.fields().size()));
  }
  void on_request_end(std::int32_t stream) override { add("end", stream); }
  void on_reset(std::int32_t stream, std::uint32_t code) override {
    add("reset", stream, " " + std::to_string(code));
  }
  void on_stream_error(std::int32_t stream, ErrorCode code, std::string_view) override {
    add("error", stream, " " + std::to_string(static_cast<int>(code)));
    reader->reset(stream, code);
  }
  void on_window_update(std::int32_t stream, std::uint32_t size) override {
    add("window", stream, " " + std::to_string(size));
  }
  void on_settings(std::string_view pairs) override {
    add("settings", static_cast<int>(pairs.size()));
  }
  void on_settings_ack() override { add("ack", 0); }
  void on_ping(std::string_view, bool ack) override { add("ping", ack ? 1 : 0); }

  FrameReader* reader = nullptr;
  std::string told;
  std::map<int, RequestHead> heads;
  std::map<int, std::string> content;
  std::size_t padded = 0;
  std::size_t dropped = 0;
  bool full = false;

 private:
  void add(std::string_view what, int number, std::string_view more = {}) {
    told.append(what).append(" ").append(std::to_string(number)).append(more).append("; ");
  }
};

class FrameReaderTest : public testing::Test {
 protected:
  FrameReaderTest() { record.reader = &reader; }
  bool receive(std::string_view bytes) { return reader.receive(bytes, now); }
  ErrorCode error() const { return reader.error().code; }

  RequestLimits limits;
  Record record;
  FrameReader reader{record, limits};
  FrameReader::Time now = FrameReader::Time() + std::chrono::hours(1);
};

TEST_F(FrameReaderTest, TellsTheSameWhereverTheBytesAreCut) {
  const std::string head = post + field("content-length", "3");
  const std::string bytes =
      beginning + frame(FrameType::headers, flag::padded, 1, "\x02" + head.substr(0, 9) + "zz") +
      frame(FrameType::continuation, flag::end_headers, 1, head.substr(9)) +
      frame(FrameType::data, flag::padded, 1,
            std::string("\x03"
                        "ab") +
                "zzz") +
      frame(FrameType::ping, 0, 0, "12345678") + frame(FrameType::data, flag::end_stream, 1, "c") +
      frame(FrameType::window_update, 0, 1, std::string("\0\0\0\x05", 4));
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    Record cut;
    FrameReader one(cut, limits);
    cut.reader = &one;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      ASSERT_TRUE(one.receive(std::string_view(bytes).substr(at, size), now)) << one.error().why;
    }
    ASSERT_EQ(cut.told, "settings 0; request 1; ping 0; end 1; window 1 5; ") << size;
    ASSERT_EQ(cut.content[1], "abc");
    ASSERT_EQ(cut.padded, 4U);
    ASSERT_EQ(cut.heads[1].first("host"), "a");
  }
}

TEST_F(FrameReaderTest, AStreamIsOpenUntilBothSidesHaveEnded) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x5, 1, post) +
                      frame(FrameType::headers, 0x4, 3, post)));
  reader.end_answer(1);
  reader.end_answer(3);
  EXPECT_FALSE(reader.is_open(1));
  EXPECT_TRUE(reader.is_open(3));
  ASSERT_TRUE(receive(frame(FrameType::data, 0x1, 3, "x")));
  EXPECT_FALSE(reader.is_open(3));
  EXPECT_FALSE(receive(frame(FrameType::data, 0x1, 3, "x")));
  EXPECT_EQ(error(), ErrorCode::stream_closed);
}

TEST_F(FrameReaderTest, WhatIsOnItsWayToAStreamThatWasResetHereIsThrownAway) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x4, 1, post)));
  reader.reset(1, ErrorCode::cancel);
  ASSERT_TRUE(receive(frame(FrameType::data, flag::padded, 1,
                            std::string("\x02"
                                        "ab") +
                                "zz") +
                      frame(FrameType::headers, 0x5, 1, field("x", "y")) +
                      frame(FrameType::rst_stream, 0, 1, std::string(4, '\0')) +
                      frame(FrameType::headers, 0x5, 3, post)));
  EXPECT_EQ(record.dropped, 5U) << "as the client counts it against the window";
  EXPECT_EQ(record.told, "settings 0; request 1; request 3 whole; end 3; ");
}

TEST_F(FrameReaderTest, AStreamThatIsResetWithinItsContentGetsNoMoreOfIt) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x4, 1, post)));
  const auto bytes = frame(FrameType::data, 0x1, 1, "abcd");
  ASSERT_TRUE(receive(bytes.substr(0, 11)));
  reader.reset(1, ErrorCode::cancel);
  ASSERT_TRUE(receive(bytes.substr(11)));
  EXPECT_EQ(record.content[1], "ab");
  EXPECT_EQ(record.dropped, 2U);
}

TEST_F(FrameReaderTest, MoreStreamsThanAreServedAreRefusedAsLongAsTheyAreFew) {
  record.full = true;
  ASSERT_TRUE(receive(beginning));
  bool goes_on = true;
  int stream = 1;
  for (; goes_on && stream < 3000; stream += 2) {
    goes_on = receive(frame(FrameType::headers, 0x5, stream, post));
  }
  EXPECT_TRUE(record.told.starts_with("settings 0; error 1 7; error 3 7; "));
  EXPECT_EQ(error(), ErrorCode::enhance_your_calm);
  EXPECT_NEAR(stream / 2, 500, 5);
}

TEST_F(FrameReaderTest, AClientThatHasItsStreamsResetIsToldToBeCalm) {
  ASSERT_TRUE(receive(beginning));
  bool goes_on = true;
  int stream = 1;
  for (; goes_on && stream < 3000; stream += 2) {
    goes_on = receive(frame(FrameType::headers, 0x4, stream, post) +
                      frame(FrameType::window_update, 0, stream, std::string(4, '\0')));
  }
  EXPECT_EQ(error(), ErrorCode::enhance_your_calm);
  EXPECT_EQ(reader.error().why, "too many resets");
  EXPECT_NEAR(stream / 2, 500, 5);
}

TEST_F(FrameReaderTest, AHeaderBlockHasOnlySoManyParts) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x1, 1, post)));
  for (unsigned part = 0; part < most_continuations; ++part) {
    ASSERT_TRUE(receive(frame(FrameType::continuation, 0, 1, field("x", "y"))));
  }
  EXPECT_FALSE(receive(frame(FrameType::continuation, 0, 1, field("x", "y"))));
  EXPECT_EQ(error(), ErrorCode::enhance_your_calm);
}

TEST_F(FrameReaderTest, AHeadThatGrowsFromLittleIsNotWaitedFor) {
  // One entry of the table, again and again, an octet each time.
  const std::string large = field("x", std::string(100, 'a'));
  const std::string entry = "\x40" + large.substr(1);
  std::string block = post + entry;
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x1, 1, block)));
  bool goes_on = true;
  for (unsigned part = 0; goes_on && part < most_continuations; ++part) {
    goes_on = receive(frame(FrameType::continuation, 0, 1, std::string(16'384, '\xbe')));
  }
  EXPECT_FALSE(goes_on);
  EXPECT_EQ(error(), ErrorCode::enhance_your_calm);
}

TEST_F(FrameReaderTest, KnowsWhatItKeepsOfABlockThatIsNotWhole) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x1, 1, post)));
  const auto head = reader.held();
  EXPECT_GT(head, 20U);
  const std::string more = frame(FrameType::continuation, flag::end_headers, 1, field("x", "yyyy"));
  ASSERT_TRUE(receive(more.substr(0, more.size() - 2)));
  EXPECT_EQ(reader.held(), head + more.size() - 2 - frame_header_size);
  ASSERT_TRUE(receive(more.substr(more.size() - 2)));
  EXPECT_EQ(reader.held(), 0U);
}

TEST_F(FrameReaderTest, KnowsWhatContentOfWhichStreamWaits) {
  ASSERT_TRUE(receive(beginning + frame(FrameType::headers, 0x4, 1, post) +
                      frame(FrameType::headers, 0x4, 3, post)));
  for (const int stream : {1, 3, 5}) reader.note_waiting(stream, 100);
  reader.note_waiting(1, 50);
  EXPECT_EQ(reader.waiting(), 250U) << "there is no third one";
  EXPECT_EQ(reader.waiting(1).cost, 150U);
  reader.note_taken(1);
  EXPECT_EQ(reader.waiting(), 100U);
  reader.reset(3, ErrorCode::cancel);
  EXPECT_EQ(reader.waiting(), 0U);
}

TEST_F(FrameReaderTest, WhateverComesIsTakenOrRefused) {
  std::uint32_t seed = 1;
  const auto next = [&seed] { return seed = seed * 1664525 + 1013904223; };
  for (int run = 0; run < 3000; ++run) {
    Record any;
    FrameReader one(any, limits);
    any.reader = &one;
    std::string bytes = beginning;
    for (int frames = 0; frames < 12; ++frames) {
      std::string payload = next() % 3 == 0 ? post : std::string(next() >> 24, '\0');
      for (char& octet : payload) {
        if (next() % 64 == 0) octet = static_cast<char>(next() >> 24);
      }
      bytes +=
          frame(static_cast<FrameType>((next() >> 16) % 11), static_cast<int>(next() >> 24) & 0x2D,
                static_cast<int>((next() >> 16) % 6), payload);
    }
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      if (!one.receive(std::string_view(bytes).substr(at, 7), now)) {
        EXPECT_NE(one.error().code, ErrorCode::no_error);
        break;
      }
    }
  }
}

}  // namespace
}  // namespace prowingen::http2
