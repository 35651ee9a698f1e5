// What the encoder writes, a decoder reads.
#include "http2/field_encoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http2/field_decoder.h"

namespace prowingen::http2 {
namespace {

class Fields final : public FieldSink {
 public:
  bool on_field(std::string_view name, std::string_view value) override {
    text.append(name).append("=").append(value).append(";");
    return true;
  }

  std::string text;
};

std::string decoded(FieldDecoder& decoder, std::string_view block) {
  Fields fields;
  EXPECT_EQ(decoder.decode(block, true, fields), FieldDecoder::Outcome::decoded);
  return fields.text;
}

std::string encoded(FieldEncoder& encoder, std::string_view status,
                    const std::vector<HeaderField>& fields) {
  std::string block;
  encoder.encode(status, fields, block);
  return block;
}

const std::vector<HeaderField> some = {{"X-Trace", "abcdefgh"}, {"server", "s"}};

TEST(FieldEncoder, NamesAreSentInLowerCaseBehindTheStatus) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  EXPECT_EQ(decoded(decoder, encoded(encoder, "200", some)),
            ":status=200;x-trace=abcdefgh;server=s;");
}

TEST(FieldEncoder, ATrailerSectionHasNoStatus) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  EXPECT_EQ(decoded(decoder, encoded(encoder, {}, some)), "x-trace=abcdefgh;server=s;");
}

TEST(FieldEncoder, AppendsToWhatIsThere) {
  FieldEncoder encoder;
  std::string out = "before";
  encoder.encode("204", {}, out);
  FieldDecoder decoder;
  EXPECT_EQ(out.substr(0, 6), "before");
  EXPECT_EQ(decoded(decoder, std::string_view(out).substr(6)), ":status=204;");
}

TEST(FieldEncoder, WhatWasSaidIsAnOctetTheNextTime) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  decoded(decoder, encoded(encoder, "200", some));
  const std::string again = encoded(encoder, "200", some);
  EXPECT_EQ(again.size(), 1 + some.size());
  EXPECT_EQ(decoded(decoder, again), ":status=200;x-trace=abcdefgh;server=s;");
}

TEST(FieldEncoder, ATableThatBecameSmallForAWhileIsEmpty) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  decoded(decoder, encoded(encoder, "200", some));
  encoder.set_table_size(0);
  encoder.set_table_size(4096);
  const std::string block = encoded(encoder, "200", some);
  // RFC 7541 section 6.3: 001xxxxx is an update of the size. The smallest comes first.
  ASSERT_GE(block.size(), 4U);
  EXPECT_EQ(block[0], '\x20');
  EXPECT_EQ(block.substr(1, 3), "\x3f\xe1\x1f");
  EXPECT_EQ(decoded(decoder, block), ":status=200;x-trace=abcdefgh;server=s;");
}

TEST(FieldEncoder, TakesNoMoreRoomThanItHasItself) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  encoder.set_table_size(0xFFFF'FFFF);
  EXPECT_EQ(decoded(decoder, encoded(encoder, "200", some)),
            ":status=200;x-trace=abcdefgh;server=s;");
}

TEST(FieldEncoder, ManyAndLongFields) {
  FieldEncoder encoder;
  FieldDecoder decoder;
  const std::string value(20'000, 'v');
  std::vector<HeaderField> fields(100, HeaderField{"Set-Cookie", value});
  std::string expected = ":status=200;";
  for (std::size_t i = 0; i < fields.size(); ++i) expected += "set-cookie=" + value + ";";
  EXPECT_EQ(decoded(decoder, encoded(encoder, "200", fields)), expected);
}

}  // namespace
}  // namespace prowingen::http2
