// Header blocks of field lines, compressed (HPACK, RFC 7541) by nghttp2: the counterpart of
// FieldDecoder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http2/header_field.h"

struct nghttp2_hd_deflater;

namespace prowingen::http2 {

/// I/O thread. Throws std::bad_alloc.
class FieldEncoder {
 public:
  FieldEncoder();

  /// What the peer's SETTINGS_HEADER_TABLE_SIZE permits. The next block announces it, and before
  /// that the smallest one since the last block (RFC 7541 section 4.2).
  void set_table_size(std::uint32_t size);
  /// Appends a block, which the peer has to be sent: what it says is used by those that follow.
  /// `status` is empty in a trailer section.
  void encode(std::string_view status, std::span<const HeaderField> fields, std::string& out);

 private:
  struct Free {
    void operator()(nghttp2_hd_deflater* deflater) const;
  };
  std::unique_ptr<nghttp2_hd_deflater, Free> deflater_;
};

}  // namespace prowingen::http2
