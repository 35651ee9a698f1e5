#include "sockets/answer_head.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "http/response_policy.h"

namespace prowingen::sockets {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

HeadProgress read_answer_head(std::string_view bytes, ResponseHead& out) {
  if (bytes.find("\r\n\r\n") == std::string_view::npos) {
    return {bytes.size() > longest_head ? HeadOutcome::malformed : HeadOutcome::need_more};
  }
  beast_http::response_parser<beast_http::empty_body> parser;
  parser.skip(true);  // what follows is not HTTP's
  parser.header_limit(longest_head);
  boost::beast::error_code error;
  const std::size_t consumed = parser.put(asio::buffer(bytes.data(), bytes.size()), error);
  if (!parser.is_header_done()) return {HeadOutcome::malformed};
  const auto& head = parser.get();
  out.clear();
  out.status = static_cast<int>(head.result_int());
  out.reason = view(head.reason());
  for (const auto& field : head) {
    const auto name = view(field.name_string());
    const auto value = view(field.value());
    const auto kind = classify_response_field(name);
    // A coding of its own could not be told from one of ours.
    if (check_response_field(kind, name, value) || kind == ResponseField::transfer_encoding) {
      return {HeadOutcome::malformed};
    }
    if (is_hop_by_hop(kind) && kind != ResponseField::upgrade) continue;
    out.has_date |= kind == ResponseField::date;
    out.has_server |= kind == ResponseField::server;
    out.add_field(name, value);
    if (kind == ResponseField::upgrade) out.add_field("Connection", "upgrade");
  }
  return {HeadOutcome::done, consumed};
}

}  // namespace prowingen::sockets
