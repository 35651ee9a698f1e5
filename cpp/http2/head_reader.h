// A request's head from the fields of a header block (RFC 9113 section 8.3), as every version of
// HTTP shows it: pseudo-header fields are the request line and Host, crumbs of a cookie one field.
//
// The blocks of a connection come one after another, so one of these serves all its streams. What
// the codec has already refused (unknown, doubled or late pseudo-header fields, upper case, fields
// of a connection) does not come here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "http/http2_policy.h"
#include "http/message.h"

namespace prowingen::http2 {

/// Of the limit of a section of fields: what goes beyond is decoded, but not kept, until the
/// block's end, where the client is told. Ten times as much is no mistake of a client.
inline constexpr std::size_t patience = 10;

class HeadReader {
 public:
  explicit HeadReader(const RequestLimits& limits) : limits_(limits) {}

  /// A block begins; its fields go to `head`, which is empty.
  void begin(RequestHead& head);
  /// False: so much more than the limits comes that its end is not worth waiting for.
  bool add(std::string_view name, std::string_view value);
  /// The block is whole.
  enum class Outcome : std::uint8_t { accepted, refused, malformed };
  struct Result {
    Outcome outcome = Outcome::accepted;
    Verdict verdict = nullptr;  // of what is refused
    RequestSemantics semantics;
    std::size_t size = 0;  // octets of the fields
  };
  Result finish();

 private:
  const RequestLimits limits_;
  RequestHead* head_ = nullptr;
  std::string method_;
  std::string target_;
  std::string authority_;
  std::string cookie_;
  std::size_t size_ = 0;
  std::size_t fields_ = 0;
};

}  // namespace prowingen::http2
