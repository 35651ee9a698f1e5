#include "engine_proxygen/messages.h"

#include <utility>

namespace prowingen::proxygen_engine {
namespace {

void set_status(px::HTTPMessage& message, int status, std::string_view reason) {
  message.setHTTPVersion(1, 1);
  message.setStatusCode(static_cast<std::uint16_t>(status));
  message.setStatusMessage(std::string(reason));
}

void release_bytes(void*, void* owner) {
  const std::unique_ptr<BorrowedBytes> bytes(static_cast<BorrowedBytes*>(owner));
}

}  // namespace

px::HTTPMessage response_message(const Exchange& exchange, ResponseFraming framing, bool keep_alive,
                                 const Options& options) {
  const ResponseHead& head = exchange.response;
  px::HTTPMessage message;
  set_status(message, head.status, head.reason);
  px::HTTPHeaders& fields = message.getHeaders();
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    const auto value = head.view(field.value);
    fields.add(folly::StringPiece(name.data(), name.size()), std::string(value));
  }
  if (!head.has_server && !options.server_header.empty()) {
    fields.add(px::HTTP_HEADER_SERVER, options.server_header);
  }
  if (exchange.response_body.add_length_field) {
    fields.add(px::HTTP_HEADER_CONTENT_LENGTH, std::to_string(exchange.response_body.length));
  }
  if (framing == ResponseFraming::chunked) {
    message.setIsChunked(true);
    fields.add(px::HTTP_HEADER_TRANSFER_ENCODING, "chunked");
  }
  message.setWantsKeepalive(keep_alive);
  return message;
}

px::HTTPMessage refusal_message(const Refusal& refusal, const Options& options) {
  px::HTTPMessage message;
  set_status(message, refusal.status, refusal.title);
  px::HTTPHeaders& fields = message.getHeaders();
  if (!options.server_header.empty()) fields.add(px::HTTP_HEADER_SERVER, options.server_header);
  if (refusal.status == 503) fields.add(px::HTTP_HEADER_RETRY_AFTER, "1");
  fields.add(px::HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
  fields.add(px::HTTP_HEADER_CONTENT_LENGTH, std::to_string(refusal_page(refusal).size()));
  message.setWantsKeepalive(false);
  return message;
}

px::HTTPMessage continue_message() {
  px::HTTPMessage message;
  set_status(message, 100, "Continue");
  return message;
}

std::unique_ptr<folly::IOBuf> to_buffer(Chunk&& chunk) {
  if (std::string* own = chunk.own()) return folly::IOBuf::fromString(std::move(*own));
  auto owner = std::make_unique<BorrowedBytes>(std::move(*chunk.borrowed()));
  const auto bytes = owner->view();
  // Only ever read; IOBuf has no type for constant memory that it owns.
  return folly::IOBuf::takeOwnership(const_cast<char*>(bytes.data()), bytes.size(), release_bytes,
                                     owner.release());
}

}  // namespace prowingen::proxygen_engine
