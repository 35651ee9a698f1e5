// brotli (RFC 7932).
#include <brotli/encode.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "compression/coder.h"

namespace prowingen::compression {
namespace {

// Of what is not whole: 256 KiB, since a stream may be open for hours, and there may be thousands.
constexpr unsigned streaming_window = 18;

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
    do {
      std::size_t no_room = 0;
      std::uint8_t* nowhere = nullptr;
      if (BrotliEncoderCompressStream(encoder_.get(), operation(step), &in_size, &in, &no_room,
                                      &nowhere, nullptr) == BROTLI_FALSE) {
        reset();
        throw std::bad_alloc();  // nothing else can fail there
      }
      std::size_t size = 0;  // as much as there is
      const auto* made = BrotliEncoderTakeOutput(encoder_.get(), &size);
      out.append(reinterpret_cast<const char*>(made), size);
    } while (in_size != 0 || BrotliEncoderHasMoreOutput(encoder_.get()) != BROTLI_FALSE);
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
    BrotliEncoderSetParameter(encoder_.get(), BROTLI_PARAM_LGWIN, streaming_window);
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
