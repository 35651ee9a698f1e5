#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websocket/frame_reader.h"
#include "websocket/frame_writer.h"

namespace prowingen::websocket {
namespace {

using Step = FrameReader::Step;

/// A client's frame of a payload, masked.
std::string masked(Opcode opcode, std::string_view payload) {
  constexpr std::string_view mask("\x12\x34\x56\x78", 4);
  std::string frame = make_frame(opcode, payload);
  const auto head = frame.size() - payload.size();
  frame[1] = static_cast<char>(frame[1] | '\x80');
  for (std::size_t i = 0; i < payload.size(); ++i) frame[head + i] ^= mask[i % 4];
  frame.insert(head, mask);
  return frame;
}

/// What a reader makes of bytes that come in pieces of a size: heads and payloads.
std::vector<std::pair<std::uint64_t, std::string>> read_all(std::string_view bytes,
                                                            std::size_t piece) {
  FrameReader reader;
  std::vector<std::pair<std::uint64_t, std::string>> frames;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    auto rest = std::string_view(bytes).substr(at, piece);
    for (;;) {
      const Step step = reader.next(rest);
      if (step == Step::need_more) break;
      if (step == Step::malformed) return {};
      if (step == Step::head) frames.emplace_back(reader.head().size, "");
      if (step == Step::payload) reader.take_payload(frames.back().second);
    }
    EXPECT_TRUE(rest.empty());
  }
  EXPECT_TRUE(reader.at_boundary());
  return frames;
}

TEST(Frames, AreReadHoweverTheyAreCut) {
  std::string all;
  std::vector<std::pair<std::uint64_t, std::string>> wanted;
  for (const std::size_t size : {0, 1, 3, 4, 7, 125, 126, 127, 300}) {
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 7);
    all += masked(Opcode::binary, payload);
    wanted.emplace_back(size, payload);
  }
  for (const std::size_t piece : {1, 2, 3, 5, 8, 13, 100, 10'000}) {
    EXPECT_EQ(read_all(all, piece), wanted) << piece;
  }
}

TEST(Frames, OfMoreThanSixteenBitsHaveAnother) {
  const std::string payload(65'536, 'x');
  const auto frames = read_all(masked(Opcode::text, payload), 4096);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].second, payload);
}

TEST(Frames, AreMadeAsShortAsTheyCanBe) {
  EXPECT_EQ(make_frame(Opcode::text, "hi"), "\x81\x02hi");
  EXPECT_EQ(make_frame(Opcode::binary, "hi", true), "\xC2\x02hi");
  EXPECT_EQ(make_frame(Opcode::binary, std::string(126, 'x')).substr(0, 4),
            std::string("\x82\x7E\x00\x7E", 4));
  EXPECT_EQ(make_frame(Opcode::binary, std::string(65'536, 'x')).substr(0, 10),
            std::string("\x82\x7F\0\0\0\0\0\x01\0\0", 10));
}

TEST(Frames, OfACloseHaveItsCodeAndAsMuchOfItsReasonAsFits) {
  EXPECT_EQ(make_close_frame({1000, "bye"}),
            "\x88\x05\x03\xE8"
            "bye");
  EXPECT_EQ(make_close_frame({close_code::no_status, "unsaid"}), std::string("\x88\x00", 2));
  std::string reason(122, 'x');
  reason += "\xC5\xBE";  // a character that would be cut
  EXPECT_EQ(make_close_frame({1000, reason}).size(), 2 + 2 + 122U);
}

TEST(Frames, ThatBreakARuleAreMalformed) {
  for (const std::string& bytes : {
           std::string("\x81\x01x", 3),                 // not masked
           std::string("\x91\x80\0\0\0\0", 6),          // RSV3
           std::string("\x83\x80\0\0\0\0", 6),          // a reserved opcode
           std::string("\x09\x80\0\0\0\0", 6),          // a fragment of a ping
           std::string("\x89\xFE\x00\x7E\0\0\0\0", 8),  // a long ping
           std::string("\x82\xFE\x00\x7D\0\0\0\0", 8),  // 125 octets need no more
           std::string("\x82\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0", 14),
           std::string("\x82\xFF\x80\0\0\0\0\0\0\0\0\0\0\0", 14),
       }) {
    FrameReader reader;
    std::string_view rest(bytes);
    EXPECT_EQ(reader.next(rest), Step::malformed) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace prowingen::websocket
