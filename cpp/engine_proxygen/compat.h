// proxygen's headers, and what differs between the releases that this engine supports.
#pragma once

#include <chrono>
#include <memory>

#include <folly/SocketAddress.h>
#include <folly/io/Cursor.h>
#include <folly/io/IOBuf.h>
#include <folly/io/async/EventBase.h>
#include <folly/io/async/EventBaseManager.h>
#include <folly/io/async/HHWheelTimer.h>
#include <proxygen/httpserver/HTTPServer.h>
#include <proxygen/httpserver/HTTPServerAcceptor.h>
#include <proxygen/httpserver/RequestHandler.h>
#include <proxygen/httpserver/RequestHandlerFactory.h>
#include <proxygen/httpserver/ResponseHandler.h>
#include <proxygen/lib/http/HTTPMessage.h>
#include <proxygen/lib/http/codec/HTTP1xCodec.h>
#include <proxygen/lib/http/codec/HTTP2Codec.h>
#include <proxygen/lib/http/session/HTTPSession.h>
#include <proxygen/lib/http/session/HTTPTransaction.h>

namespace prowingen {
// Inside namespace prowingen "proxygen" alone would be ambiguous to a reader, though not to C++.
namespace px = ::proxygen;

/// What a loop's timer calls. With the loop ends its timer, and folly would have whatever is still
/// to come expire then, and begin anew.
class LoopTimer : public folly::HHWheelTimer::Callback {
 public:
  void callbackCanceled() noexcept final {}
};

/// folly's timers take milliseconds, and none of 0.
inline std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}
/// HTTPServer::start() takes the factory itself in older releases, in newer ones a function.
template <typename Success, typename Failure>
void start_server(px::HTTPServer& server, Success on_success, Failure on_failure,
                  std::shared_ptr<wangle::AcceptorFactory> acceptors) {
  if constexpr (requires { server.start(on_success, on_failure, acceptors); }) {
    server.start(on_success, on_failure, acceptors);
  } else {
    server.start(on_success, on_failure, [acceptors](const auto&) { return acceptors; });
  }
}

}  // namespace prowingen
