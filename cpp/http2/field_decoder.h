// Field lines from header blocks, decompressed (HPACK, RFC 7541) by nghttp2. A block may come in
// any number of fragments; what one says may be used by all that follow.
#pragma once

#include <memory>
#include <string_view>

struct nghttp2_hd_inflater;

namespace prowingen::http2 {

class FieldSink {
 public:
  /// False: no more of them are wanted, ever.
  virtual bool on_field(std::string_view name, std::string_view value) = 0;

 protected:
  ~FieldSink() = default;
};

/// I/O thread. Throws std::bad_alloc.
class FieldDecoder {
 public:
  FieldDecoder();

  enum class Outcome : std::uint8_t { decoded, malformed, unwanted };
  /// `last`: of its block.
  Outcome decode(std::string_view fragment, bool last, FieldSink& sink);

 private:
  struct Free {
    void operator()(nghttp2_hd_inflater* inflater) const;
  };
  std::unique_ptr<nghttp2_hd_inflater, Free> inflater_;
};

}  // namespace prowingen::http2
