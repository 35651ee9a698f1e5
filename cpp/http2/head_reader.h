// A request's head from the fields of a header block (RFC 9113 section 8.3), as every version of
// HTTP shows it: pseudo-header fields are the request line and Host, crumbs of a cookie one field.
//
// An extended CONNECT is shown as the GET of HTTP/1.1 that it stands for.
//
// The blocks of a connection come one after another, so one of these serves all its streams. It is
// strict whatever is in front of it: what makes a request malformed ends its stream, and only what
// HTTP/1 would refuse as well is answered.
#pragma once

#include <array>
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
  /// `extended_connect`: a request may ask for another protocol; else that is malformed.
  explicit HeadReader(const RequestLimits& limits, bool extended_connect = false)
      : limits_(limits), extended_connect_(extended_connect) {}

  /// Of a header section that is too large: its end is waited for, so that its client can be told,
  /// up to so much.
  static std::size_t patience(const RequestLimits& limits) {
    return 10 * (limits.max_header_bytes + limits.max_request_line);
  }

  /// A block begins; its fields go to `head`, which is empty.
  void begin(RequestHead& head);
  /// False: so much more than the limits comes that its end is not worth waiting for.
  bool add(std::string_view name, std::string_view value);
  /// Octets of the fields so far that are kept.
  std::size_t held() const { return given_up_ == nullptr ? size_ : 0; }
  /// The request is refused, whatever else comes: nothing of it is kept. False: it was before.
  bool give_up(const Refusal& why);
  /// The block is whole.
  enum class Outcome : std::uint8_t { accepted, refused, malformed };
  struct Result {
    Outcome outcome = Outcome::accepted;
    Verdict verdict = nullptr;  // of what is refused
    RequestSemantics semantics;
    std::size_t size = 0;   // octets of the fields
    bool upgrades = false;  // it asks for another protocol
  };
  Result finish();

 private:
  enum Pseudo : std::uint8_t { method, scheme, path, authority, protocol };
  static constexpr std::array<std::string_view, 5> pseudo_names{":method", ":scheme", ":path",
                                                                ":authority", ":protocol"};

  Result conclude();
  bool over_limits() const;
  bool add_pseudo(std::string_view name, std::string_view value);
  bool add_field(std::string_view name, std::string_view value);
  bool is_whole() const;
  bool upgrades() const { return !pseudo_[protocol].empty(); }
  bool agrees_on_host(const RequestHead& head) const;

  const RequestLimits limits_;
  const bool extended_connect_;
  RequestHead* head_ = nullptr;
  std::array<std::string, pseudo_names.size()> pseudo_;  // empty: not there
  std::string cookie_;
  std::size_t size_ = 0;
  std::size_t fields_ = 0;
  bool has_host_ = false;
  bool has_length_ = false;
  bool malformed_ = false;
  Verdict given_up_ = nullptr;
};

}  // namespace prowingen::http2
