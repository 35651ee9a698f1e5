#include "websocket/compression.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <new>
#include <vector>

namespace prowingen::websocket {
namespace {

constexpr int level = 1;
constexpr int memory_level = 8;
// zlib's smallest for raw deflate: it makes 9 of 8, and then what it made does not fit a window
// of 8.
constexpr int smallest_window = 9;

// What RFC 7692 section 7.2.2 puts back.
constexpr std::string_view tail("\x00\x00\xFF\xFF", 4);

constexpr std::size_t block_size = std::size_t{16} * 1024;

Bytef* input(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));  // zlib only reads it
}

// Inflaters of the whole window, for whoever has a message in the middle.
struct Spares {
  static constexpr std::size_t most = 16;
  std::mutex mutex;
  std::vector<std::unique_ptr<Inflater>> inflaters;
};

Spares& spares() {
  static Spares instance;
  return instance;
}

constexpr int whole_window = 15;  // which reads what any smaller one has written

}  // namespace

Deflater::Deflater(int window, bool keeps)
    : window_(std::max(window, smallest_window)), keeps_(keeps) {
  if (deflateInit2(&stream_, level, Z_DEFLATED, -window_, memory_level, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();
  }
}

Deflater::~Deflater() { deflateEnd(&stream_); }

std::string Deflater::compress(std::string_view message) {
  if (!keeps_) deflateReset(&stream_);
  std::string out;
  std::array<char, block_size> block;
  stream_.next_in = input(message);
  stream_.avail_in = static_cast<uInt>(message.size());
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(block.data());
    stream_.avail_out = block.size();
    deflate(&stream_, Z_SYNC_FLUSH);
    out.append(block.data(), block.size() - stream_.avail_out);
  } while (stream_.avail_out == 0);
  // Nothing at all is flushed when there is nothing: one empty block (section 7.2.3.6).
  if (out.size() < tail.size()) return std::string(1, '\0');
  out.resize(out.size() - tail.size());
  if (out.empty()) out.push_back('\0');
  return out;
}

Inflater::Inflater(int window, bool keeps) : keeps_(keeps) {
  if (inflateInit2(&stream_, -window) != Z_OK) throw std::bad_alloc();
}

Inflater::~Inflater() { inflateEnd(&stream_); }

Inflater::Outcome Inflater::add(std::string_view piece, std::string& out, std::size_t most) {
  std::array<char, block_size> block;
  stream_.next_in = input(piece);
  stream_.avail_in = static_cast<uInt>(piece.size());
  do {
    if (ended_) begin_anew();
    stream_.next_out = reinterpret_cast<Bytef*>(block.data());
    stream_.avail_out = block.size();
    const int result = inflate(&stream_, Z_SYNC_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return Outcome::malformed;
    }
    const std::size_t size = block.size() - stream_.avail_out;
    if (size > most - out.size()) return Outcome::too_large;
    out.append(block.data(), size);
    ended_ = result == Z_STREAM_END;
    if (result == Z_BUF_ERROR && size == 0) break;
  } while (stream_.avail_in != 0 || stream_.avail_out == 0);
  return Outcome::ok;
}

Inflater::Outcome Inflater::finish(std::string& out, std::size_t most) {
  const Outcome outcome = ended_ ? Outcome::ok : add(tail, out, most);
  if (!keeps_) {
    reset();
  } else if (ended_) {
    begin_anew();
  }
  return outcome;
}

// Another block behind a last one (section 7.2.3.4), which may refer to what came before.
void Inflater::begin_anew() {
  constexpr std::size_t largest = std::size_t{1} << whole_window;
  std::array<Bytef, largest> window;
  uInt size = 0;
  if (keeps_) inflateGetDictionary(&stream_, window.data(), &size);
  reset();
  if (size != 0) inflateSetDictionary(&stream_, window.data(), size);
}

void Inflater::reset() {
  inflateReset(&stream_);
  ended_ = false;
}

InflaterLease::InflaterLease() {
  {
    const std::lock_guard lock(spares().mutex);
    if (!spares().inflaters.empty()) {
      inflater_ = std::move(spares().inflaters.back());
      spares().inflaters.pop_back();
    }
  }
  if (!inflater_) inflater_ = std::make_unique<Inflater>(whole_window, false);
}

InflaterLease::~InflaterLease() {
  inflater_->reset();
  const std::lock_guard lock(spares().mutex);
  if (spares().inflaters.size() < Spares::most) spares().inflaters.push_back(std::move(inflater_));
}

std::string compress_alone(std::string_view message, int window) {
  static thread_local std::unique_ptr<Deflater> deflater;
  if (!deflater || deflater->window() != std::max(window, smallest_window)) {
    deflater = std::make_unique<Deflater>(window, false);
  }
  return deflater->compress(message);
}

}  // namespace prowingen::websocket
