#include "engine_proxygen/handlers.h"

#include <proxygen/httpserver/RequestHandlerAdaptor.h>

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

px::HTTPTransactionHandler* make_stream_handler(EventThread& thread,
                                                px::HTTPTransaction& transaction,
                                                const px::HTTPMessage& message,
                                                HttpVersion version) {
  return adapt(std::make_unique<Http2Handler>(thread, transaction, message, version));
}

}  // namespace prowingen::proxygen_engine
