// gzip (RFC 1952): by libdeflate what is whole, by zlib what is not, or is too long.
//
// libdeflate takes 0.4 to 0.8 of zlib's time for something smaller, at each level, and cannot
// stream: docs/architecture.md has the figures.
#include <zlib.h>

#include <array>
#include <limits>
#include <new>

#include "compression/coder.h"

#ifdef PROWINGEN_HAS_LIBDEFLATE
#include <libdeflate.h>
#endif

namespace prowingen::compression {
namespace {

constexpr int gzip_window = 15 + 16;  // zlib's way to say that a gzip header is wanted
constexpr int memory_level = 8;
constexpr std::size_t block_size = std::size_t{16} * 1024;
constexpr std::size_t zlib_memory = std::size_t{268} * 1024;  // by zlib's own account

constexpr int flush_of(Step step) {
  switch (step) {
    case Step::more: return Z_NO_FLUSH;
    case Step::flush: return Z_SYNC_FLUSH;
    case Step::end: return Z_FINISH;
  }
  return Z_FINISH;
}

/// What comes piece by piece.
class ZlibStream {
 public:
  explicit ZlibStream(int level) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~ZlibStream() { deflateEnd(&stream_); }
  ZlibStream(const ZlibStream&) = delete;
  ZlibStream& operator=(const ZlibStream&) = delete;

  void code(std::string_view piece, Step step, std::string& out) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    for (; piece.size() > most; piece.remove_prefix(most))
      add(piece.substr(0, most), Step::more, out);
    add(piece, step, out);
  }
  void reset() { deflateReset(&stream_); }

 private:
  void add(std::string_view piece, Step step, std::string& out) {
    std::array<char, block_size> block;
    stream_.next_in =
        const_cast<Bytef*>(reinterpret_cast<const Bytef*>(piece.data()));  // read only
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(block.data());
      stream_.avail_out = block.size();
      deflate(&stream_, flush_of(step));
      out.append(block.data(), block.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    if (step == Step::end) reset();
  }

  z_stream stream_{};
};

#ifdef PROWINGEN_HAS_LIBDEFLATE
/// What is whole.
class WholeDeflater {
 public:
  explicit WholeDeflater(int level)
      : deflater_(libdeflate_alloc_compressor(own_levels[static_cast<std::size_t>(level)])) {
    if (!deflater_) throw std::bad_alloc();
  }

  // Beyond it what is made would be kept in one piece, for no gain that one could see.
  static constexpr bool takes(std::size_t size) { return size <= std::size_t{1} << 20; }

  void code(std::string_view whole, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + libdeflate_gzip_compress_bound(deflater_.get(), whole.size()));
    const std::size_t size = libdeflate_gzip_compress(deflater_.get(), whole.data(), whole.size(),
                                                      out.data() + before, out.size() - before);
    out.resize(before + size);
  }

 private:
  // By zlib's levels, those that make less of a text than zlib does and take no longer.
  static constexpr std::array<int, 10> own_levels{0, 1, 1, 2, 4, 5, 6, 7, 7, 8};

  struct Free {
    void operator()(libdeflate_compressor* it) const { libdeflate_free_compressor(it); }
  };
  const std::unique_ptr<libdeflate_compressor, Free> deflater_;
};
#else
class WholeDeflater {
 public:
  explicit WholeDeflater(int level) { static_cast<void>(level); }
  static constexpr bool takes(std::size_t size) {
    static_cast<void>(size);
    return false;
  }
  void code(std::string_view, std::string&) {}
};
#endif

class GzipCoder final : public Coder {
 public:
  explicit GzipCoder(int level) : level_(level) {}

  void code(std::string_view piece, Step step, std::string& out) override {
    if (!begun_ && step == Step::end && WholeDeflater::takes(piece.size())) {
      if (!whole_) whole_ = std::make_unique<WholeDeflater>(level_);
      return whole_->code(piece, out);
    }
    if (!stream_) stream_ = std::make_unique<ZlibStream>(level_);
    stream_->code(piece, step, out);
    begun_ = step != Step::end;
  }

  void reset() override {
    begun_ = false;
    if (stream_) stream_->reset();
  }

  std::size_t memory() const override { return zlib_memory; }

 private:
  const int level_;
  // Each is made when it is needed first.
  std::unique_ptr<ZlibStream> stream_;
  std::unique_ptr<WholeDeflater> whole_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Coder> make_gzip_coder(int level) { return std::make_unique<GzipCoder>(level); }

}  // namespace prowingen::compression
