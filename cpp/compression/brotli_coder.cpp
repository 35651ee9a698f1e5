// brotli (RFC 7932).
#include <brotli/encode.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "compression/coder.h"

namespace prowingen::compression {
namespace {

// Of what is not whole: 64 KiB, since a stream may be open for hours, and there may be thousands.
constexpr unsigned streaming_window = 16;
constexpr unsigned whole_window = 18;
constexpr std::size_t block_size = std::size_t{16} * 1024;

constexpr BrotliEncoderOperation operation(Step step) {
  switch (step) {
    case Step::more: return BROTLI_OPERATION_PROCESS;
    case Step::flush: return BROTLI_OPERATION_FLUSH;
    case Step::end: return BROTLI_OPERATION_FINISH;
  }
  return BROTLI_OPERATION_FINISH;
}

/// What the library has allocated: from 0.3 MiB to 30, as its level and its input are.
class CountedMemory {
 public:
  static void* allocate(void* self, std::size_t size) {
    auto* const block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (block == nullptr) return nullptr;
    block->size = size;
    static_cast<CountedMemory*>(self)->bytes_ += size;
    return block + 1;
  }
  static void release(void* self, void* memory) {
    if (memory == nullptr) return;
    auto* const block = static_cast<Block*>(memory) - 1;
    static_cast<CountedMemory*>(self)->bytes_ -= block->size;
    std::free(block);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  struct alignas(std::max_align_t) Block {
    std::size_t size;
  };
  std::size_t bytes_ = 0;
};

class BrotliCoder final : public Coder {
 public:
  explicit BrotliCoder(int level) : level_(static_cast<unsigned>(level)) {}

  void code(std::string_view piece, Step step, std::string& out) override {
    if (!encoder_) begin(step == Step::end ? piece.size() : 0);
    const auto* in = reinterpret_cast<const std::uint8_t*>(piece.data());
    std::size_t in_size = piece.size();
    // With room for output at each call: without any the library takes the last of the input, says
    // that it has no more output, and has not yet done what it was asked for.
    do {
      const std::size_t before = out.size();
      out.resize(before + block_size);
      auto* to = reinterpret_cast<std::uint8_t*>(out.data() + before);
      std::size_t room = block_size;
      const bool done = BrotliEncoderCompressStream(encoder_.get(), operation(step), &in_size, &in,
                                                    &room, &to, nullptr) == BROTLI_TRUE;
      out.resize(before + block_size - room);
      if (!done) {
        reset();
        throw std::bad_alloc();  // nothing else can fail there
      }
    } while (in_size != 0 || BrotliEncoderHasMoreOutput(encoder_.get()) != BROTLI_FALSE ||
             (step == Step::end && BrotliEncoderIsFinished(encoder_.get()) == BROTLI_FALSE));
    if (step == Step::end) reset();
  }

  // The library can begin another stream only with another encoder.
  void reset() override { encoder_.reset(); }

  std::size_t memory() const override { return memory_.bytes(); }

 private:
  void begin(std::size_t size) {
    encoder_.reset(
        BrotliEncoderCreateInstance(CountedMemory::allocate, CountedMemory::release, &memory_));
    if (!encoder_) throw std::bad_alloc();
    BrotliEncoderSetParameter(encoder_.get(), BROTLI_PARAM_QUALITY, level_);
    BrotliEncoderSetParameter(encoder_.get(), BROTLI_PARAM_LGWIN,
                              size == 0 ? streaming_window : whole_window);
    BrotliEncoderSetParameter(encoder_.get(), BROTLI_PARAM_MODE, BROTLI_MODE_TEXT);
    const std::size_t hint = std::min<std::size_t>(size, std::size_t{1} << 30);
    BrotliEncoderSetParameter(encoder_.get(), BROTLI_PARAM_SIZE_HINT,
                              static_cast<std::uint32_t>(hint));
  }

  struct Free {
    void operator()(BrotliEncoderState* encoder) const { BrotliEncoderDestroyInstance(encoder); }
  };
  const unsigned level_;
  CountedMemory memory_;                               // outlives what is in it
  std::unique_ptr<BrotliEncoderState, Free> encoder_;  // null: between answers
};

}  // namespace

std::unique_ptr<Coder> make_brotli_coder(int level) { return std::make_unique<BrotliCoder>(level); }

}  // namespace prowingen::compression
