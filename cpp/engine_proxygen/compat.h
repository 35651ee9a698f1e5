// proxygen's headers, and what differs between the releases that this engine supports.
#pragma once

#include <folly/SocketAddress.h>
#include <folly/io/IOBuf.h>
#include <folly/io/async/EventBase.h>
#include <folly/io/async/EventBaseManager.h>
#include <proxygen/httpserver/HTTPServer.h>
#include <proxygen/httpserver/RequestHandler.h>
#include <proxygen/httpserver/RequestHandlerFactory.h>
#include <proxygen/httpserver/ResponseHandler.h>
#include <proxygen/lib/http/HTTPMessage.h>
#include <proxygen/lib/http/codec/HTTP1xCodec.h>
#include <proxygen/lib/http/session/HTTPSession.h>

namespace prowingen {
// Inside namespace prowingen "proxygen" alone would be ambiguous to a reader, though not to C++.
namespace px = ::proxygen;
}  // namespace prowingen
