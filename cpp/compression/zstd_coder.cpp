// zstd (RFC 8878, RFC 9659).
#include <zstd.h>

#include <new>

#include "compression/coder.h"

namespace prowingen::compression {
namespace {

// Of what is not whole, as powers of two: a stream may be open for hours, and there may be
// thousands. At level 3 this takes 0.6 MiB, where the level's own choice takes 3.5, for an answer
// that is a hundredth longer.
constexpr int streaming_window = 16;
constexpr int streaming_table = 14;
constexpr std::size_t block_size = std::size_t{16} * 1024;

constexpr ZSTD_EndDirective directive(Step step) {
  switch (step) {
    case Step::more: return ZSTD_e_continue;
    case Step::flush: return ZSTD_e_flush;
    case Step::end: return ZSTD_e_end;
  }
  return ZSTD_e_end;
}

class ZstdCoder final : public Coder {
 public:
  explicit ZstdCoder(int level) {
    if (!context_) throw std::bad_alloc();
    set(ZSTD_c_compressionLevel, level);
  }

  void code(std::string_view piece, Step step, std::string& out) override {
    if (!begun_) begin(step == Step::end, piece.size());
    begun_ = step != Step::end;
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    for (std::size_t left = 1; left != 0;) {
      const std::size_t before = out.size();
      out.resize(before + block_size);
      ZSTD_outBuffer block{out.data() + before, block_size, 0};
      left = ZSTD_compressStream2(context_.get(), &block, &in, directive(step));
      out.resize(before + block.pos);
      if (ZSTD_isError(left) != 0) {
        reset();
        throw std::bad_alloc();  // with parameters that are right there is no other cause
      }
      if (step == Step::more && in.pos == in.size) break;
    }
  }

  void reset() override {
    begun_ = false;
    ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_only);
  }

  std::size_t memory() const override { return ZSTD_sizeof_CCtx(context_.get()); }

 private:
  void set(ZSTD_cParameter parameter, int value) {
    ZSTD_CCtx_setParameter(context_.get(), parameter, value);
  }

  // A frame that says how long it is takes a window and tables to its measure.
  void begin(bool whole, std::size_t size) {
    set(ZSTD_c_windowLog, whole ? 0 : streaming_window);
    set(ZSTD_c_hashLog, whole ? 0 : streaming_table);
    set(ZSTD_c_chainLog, whole ? 0 : streaming_table);
    if (whole) ZSTD_CCtx_setPledgedSrcSize(context_.get(), size);
  }

  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  const std::unique_ptr<ZSTD_CCtx, Free> context_{ZSTD_createCCtx()};
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Coder> make_zstd_coder(int level) { return std::make_unique<ZstdCoder>(level); }

}  // namespace prowingen::compression
