// What applies a content coding (RFC 9110 section 8.4.1) to one answer after the other.
//
//   code(piece, more)*  code(piece, flush)*  code(piece, end)     then the next answer's
//
// Each is a library's: libdeflate or zlib, brotli, zstd. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace prowingen::compression {

enum class Coding : std::uint8_t { zstd, brotli, gzip };
constexpr std::size_t coding_count = 3;

/// By `Coding`: what it is called in Content-Encoding.
constexpr std::array<std::string_view, coding_count> tokens{"zstd", "br", "gzip"};
constexpr std::string_view token(Coding coding) { return tokens[static_cast<std::size_t>(coding)]; }

/// What follows a piece: `flush` that its client is to have all of it now, `end` that it was the
/// last one.
enum class Step : std::uint8_t { more, flush, end };

class Coder {
 public:
  Coder() = default;
  virtual ~Coder() = default;
  Coder(const Coder&) = delete;
  Coder& operator=(const Coder&) = delete;

  /// Adds to `out` what `piece` has become. The first piece after an end begins another answer; a
  /// first one that is the last, too, is coded by what does that best.
  virtual void code(std::string_view piece, Step step, std::string& out) = 0;
  /// Forgets what it is in the middle of.
  virtual void reset() = 0;
  /// Bytes that it takes, about, in the middle of an answer.
  virtual std::size_t memory() const = 0;
};

/// Throws std::bad_alloc. `level` is in the coding's own range.
std::unique_ptr<Coder> make_zstd_coder(int level);
std::unique_ptr<Coder> make_brotli_coder(int level);
std::unique_ptr<Coder> make_gzip_coder(int level);

}  // namespace prowingen::compression
