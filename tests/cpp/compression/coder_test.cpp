#include "compression/coder.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "compression/coders.h"

namespace prowingen::compression {
namespace {

/// What a client makes of what it has got so far.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void add(std::string_view bytes, std::string& out) = 0;
  virtual bool ended() const = 0;
};

class GzipDecoder final : public Decoder {
 public:
  GzipDecoder() { inflateInit2(&stream_, 31); }
  ~GzipDecoder() override { inflateEnd(&stream_); }
  void add(std::string_view bytes, std::string& out) override {
    std::array<char, 4096> block;
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(block.data());
      stream_.avail_out = block.size();
      const int result = inflate(&stream_, Z_SYNC_FLUSH);
      ASSERT_TRUE(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) << result;
      ended_ = result == Z_STREAM_END;
      out.append(block.data(), block.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    ASSERT_EQ(stream_.avail_in, 0U) << "more behind the end";
  }
  bool ended() const override { return ended_; }

 private:
  z_stream stream_{};
  bool ended_ = false;
};

class BrotliDecoder final : public Decoder {
 public:
  void add(std::string_view bytes, std::string& out) override {
    const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::size_t in_size = bytes.size();
    std::size_t no_room = 0;
    BrotliDecoderResult result;
    do {
      result =
          BrotliDecoderDecompressStream(state_.get(), &in_size, &in, &no_room, nullptr, nullptr);
      std::size_t size = 0;
      const auto* made = BrotliDecoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(made), size);
    } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    ASSERT_NE(result, BROTLI_DECODER_RESULT_ERROR);
    ASSERT_EQ(in_size, 0U) << "more behind the end";
  }
  bool ended() const override { return BrotliDecoderIsFinished(state_.get()) == BROTLI_TRUE; }

 private:
  struct Free {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliDecoderState, Free> state_{
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)};
};

class ZstdDecoder final : public Decoder {
 public:
  void add(std::string_view bytes, std::string& out) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    std::array<char, 4096> block;
    std::size_t filled = 0;
    do {
      ZSTD_outBuffer to{block.data(), block.size(), 0};
      const std::size_t left = ZSTD_decompressStream(context_.get(), &to, &in);
      ASSERT_EQ(ZSTD_isError(left), 0U) << ZSTD_getErrorName(left);
      ended_ = left == 0;
      out.append(block.data(), to.pos);
      filled = to.pos;
    } while (in.pos < in.size || filled == block.size());
  }
  bool ended() const override { return ended_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  bool ended_ = false;
};

std::unique_ptr<Decoder> make_decoder(Coding coding) {
  switch (coding) {
    case Coding::zstd: return std::make_unique<ZstdDecoder>();
    case Coding::brotli: return std::make_unique<BrotliDecoder>();
    case Coding::gzip: return std::make_unique<GzipDecoder>();
  }
  return nullptr;
}

std::string page(std::size_t lines) {
  std::string text;
  for (std::size_t line = 0; line < lines; ++line) {
    text += "<li class=\"row\">line " + std::to_string(line * line) + "</li>\n";
  }
  return text;
}

// What compresses badly fills a coder's own buffers, which lines that repeat never do.
std::string tokens_in_rows(std::size_t rows, unsigned seed) {
  std::mt19937_64 chance(seed);
  std::string text;
  for (std::size_t row = 0; row < rows; ++row) {
    text += "{\"id\": " + std::to_string(row) + ", \"token\": \"";
    for (int i = 0; i < 4; ++i) text += std::to_string(chance());
    text += "\"}\n";
  }
  return text;
}

class CoderTest : public testing::TestWithParam<Offer> {
 protected:
  std::unique_ptr<Coder> coder_ = Coders(GetParam()).take();
  std::unique_ptr<Decoder> decoder_ = make_decoder(GetParam().coding);
};

TEST_P(CoderTest, WhatIsWholeIsCodedAtOnce) {
  for (const std::size_t lines : {0U, 1U, 100U, 100'000U}) {
    const std::string text = page(lines);
    std::string coded;
    std::string read;
    coder_->code(text, Step::end, coded);
    const auto decoder = make_decoder(GetParam().coding);
    decoder->add(coded, read);
    EXPECT_EQ(read, text);
    EXPECT_TRUE(decoder->ended());
  }
}

TEST_P(CoderTest, WhatCompressesBadlyIsAllThereToo) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    const std::string text = tokens_in_rows(700 * (seed + 1), seed);
    for (const Step step : {Step::end, Step::flush}) {
      std::string coded;
      std::string read;
      coder_->code(text, step, coded);
      const auto decoder = make_decoder(GetParam().coding);
      decoder->add(coded, read);
      ASSERT_EQ(read.size(), text.size()) << seed;
      ASSERT_EQ(read, text);
      ASSERT_EQ(decoder->ended(), step == Step::end);
      coder_->reset();
    }
  }
}

TEST_P(CoderTest, WhatIsFlushedCanBeReadAtOnce) {
  std::string read;
  std::string sent;
  for (int piece = 0; piece < 50; ++piece) {
    const std::string text = page(static_cast<std::size_t>(piece % 7 + 1));
    std::string coded;
    coder_->code(text, Step::flush, coded);
    decoder_->add(coded, read);
    sent += text;
    ASSERT_EQ(read, sent);
    ASSERT_FALSE(decoder_->ended());
  }
  std::string coded;
  coder_->code({}, Step::end, coded);
  decoder_->add(coded, read);
  EXPECT_EQ(read, sent);
  EXPECT_TRUE(decoder_->ended());
}

TEST_P(CoderTest, PiecesThatAreNotFlushedAreAsSmallAsTheWhole) {
  const std::string text = page(20'000);
  std::string whole;
  coder_->code(text, Step::end, whole);
  std::string coded;
  for (std::size_t at = 0; at < text.size(); at += 100) {
    coder_->code(std::string_view(text).substr(at, 100), Step::more, coded);
  }
  coder_->code({}, Step::end, coded);
  std::string read;
  decoder_->add(coded, read);
  EXPECT_EQ(read, text);
  EXPECT_LT(coded.size(), whole.size() * 5 / 4);
}

TEST_P(CoderTest, WhatWasBrokenOffIsForgotten) {
  std::string lost;
  coder_->code(page(1000), Step::more, lost);
  coder_->reset();
  const std::string text = page(10);
  std::string coded;
  std::string read;
  coder_->code(text, Step::flush, coded);
  coder_->code({}, Step::end, coded);
  decoder_->add(coded, read);
  EXPECT_EQ(read, text);
  EXPECT_TRUE(decoder_->ended());
}

TEST_P(CoderTest, OneThatIsGivenBackServesTheNextAnswer) {
  Coders coders(GetParam());
  auto coder = coders.take();
  const Coder* const first = coder.get();
  std::string lost;
  coder->code(page(10), Step::flush, lost);
  coders.give_back(std::move(coder));
  coder = coders.take();
  EXPECT_EQ(coder.get(), first);
  std::string coded;
  std::string read;
  coder->code("a page", Step::end, coded);
  decoder_->add(coded, read);
  EXPECT_EQ(read, "a page");
}

TEST_P(CoderTest, AStreamTakesAMebibyteOrTwo) {
  std::string coded;
  for (int piece = 0; piece < 1000; ++piece) coder_->code(page(10), Step::flush, coded);
  EXPECT_GT(coder_->memory(), 100'000U);
  EXPECT_LT(coder_->memory(), 2'000'000U);
}

INSTANTIATE_TEST_SUITE_P(Usual, CoderTest,
                         testing::Values(Offer{Coding::zstd, 3}, Offer{Coding::zstd, 6},
                                         Offer{Coding::brotli, 4}, Offer{Coding::brotli, 5},
                                         Offer{Coding::gzip, 5}, Offer{Coding::gzip, 9}));

TEST(Coders, HighLevelsKeepNothingBehind) {
  Coders coders({Coding::zstd, 13});
  auto coder = coders.take();
  std::string coded;
  coder->code(page(50'000), Step::end, coded);
  EXPECT_GT(coder->memory(), std::size_t{4} << 20);
  coders.give_back(std::move(coder));
  EXPECT_LT(coders.take()->memory(), std::size_t{1} << 20);  // a new one
}

}  // namespace
}  // namespace prowingen::compression
