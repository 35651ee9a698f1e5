// HTTP/1.x requests from bytes: Beast's parser, strict where it is and the request policy where it
// is not. One object parses one request.
//
// Beast takes HTTP/1.0 and 1.1 alone for versions. A request line with a higher minor version is
// given to it as one of 1.1.
//
// A head is parsed only from its first byte and in one go, so that where the network cut it can
// make no difference; its body is parsed piece by piece.
#pragma once

#include <utility>  // Boost 1.74 uses std::exchange without including it

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/request_policy.h"

namespace prowingen::http1 {

/// Takes a request's body as it is parsed.
class BodySink {
 public:
  virtual void on_body(std::string_view bytes) = 0;
  /// A field of its trailer section, which is whole; of one that is refused some may have come.
  virtual void on_trailer(std::string_view name, std::string_view value) = 0;

 protected:
  ~BodySink() = default;
};

/// The library that parses, with its version: "Boost 1.74".
std::string parser_version();

class RequestParser final : private boost::beast::http::basic_parser<true> {
 public:
  enum class Outcome : std::uint8_t { need_more, head_done, request_done, refused };
  struct Progress {
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0;
    Verdict verdict = nullptr;  // with `refused`
  };

  RequestParser(RequestHead& head, const RequestLimits& limits, BodySink& sink);

  /// Parses a head that starts at `input`'s first byte. After need_more the parser is spent:
  /// call again on a new one, with more input.
  Progress parse_head(std::string_view input);
  /// Parses the next piece of the body; call again while it consumes.
  Progress parse_body(std::string_view input);

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  std::size_t most_of_head() const {
    return limits_.max_request_line + limits_.max_header_bytes + 4;
  }
  Progress put_some(std::string_view input);
  void refuse(Verdict verdict, error_code& ec);
  RequestFault fault_of(const error_code& ec, std::string_view rest) const;

  void on_request_impl(boost::beast::http::verb, string_view method, string_view target,
                       int version, error_code& ec) override;
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field, string_view name, string_view value,
                     error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view extension, error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  RequestHead& head_;
  const RequestLimits& limits_;
  BodySink& sink_;
  std::string_view input_;  // of the put() under way
  Verdict verdict_ = nullptr;
  std::uint64_t body_size_ = 0;
  std::uint64_t chunk_left_ = 0;
  TrailerSection trailers_;
  bool in_body_ = false;
};

}  // namespace prowingen::http1
