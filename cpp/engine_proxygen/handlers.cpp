#include "engine_proxygen/handlers.h"

#include <proxygen/httpserver/RequestHandlerAdaptor.h>
#if defined(PROWINGEN_PROXYGEN_HTTP3)
#include <proxygen/lib/http/session/HQSession.h>
#endif

#include <memory>

#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/http2_handler.h"

namespace prowingen::proxygen_engine {
namespace {

/// proxygen's own drops trailer sections.
class Adaptor final : public px::RequestHandlerAdaptor {
 public:
  explicit Adaptor(std::unique_ptr<Handler> handler) : RequestHandlerAdaptor(handler.release()) {}

  void onTrailers(std::unique_ptr<px::HTTPHeaders> trailers) noexcept override {
    if (upstream_ != nullptr) static_cast<Handler*>(upstream_)->on_trailers(*trailers);
  }
};

}  // namespace

px::HTTPTransactionHandler* adapt(std::unique_ptr<Handler> handler) {
  return std::make_unique<Adaptor>(std::move(handler)).release();
}

void name_ends(const px::HTTPTransaction& transaction, px::HTTPMessage& message) {
  folly::SocketAddress address;
  transaction.getPeerAddress(address);
  message.setClientAddress(address);
  transaction.getLocalAddress(address);
  message.setDstAddress(address);
}

px::HTTPTransactionHandler* make_stream_handler(EventThread& thread,
                                                px::HTTPTransaction& transaction,
                                                px::HTTPMessage& message, HttpVersion version) {
  name_ends(transaction, message);
  return adapt(std::make_unique<Http2Handler>(thread, transaction, message, version));
}

bool stop_sending(px::HTTPTransaction& transaction) {
#if defined(PROWINGEN_PROXYGEN_HTTP3)
  const auto* session =
      dynamic_cast<const px::HQSession*>(transaction.getTransport().getHTTPSessionBase());
  if (session == nullptr) return false;
  session->getQuicSocket()->stopSending(transaction.getID(), px::HTTP3::ErrorCode::HTTP_NO_ERROR);
  return true;
#else
  static_cast<void>(transaction);
  return false;
#endif
}

}  // namespace prowingen::proxygen_engine
