// How a transaction gets its handler.
#pragma once

#include <memory>

#include "engine_proxygen/compat.h"
#include "http/message.h"

namespace prowingen::proxygen_engine {

class EventThread;
class Handler;

/// What passes a transaction's events on to its handler. Both end with the transaction.
px::HTTPTransactionHandler* adapt(std::unique_ptr<Handler> handler);

/// Of a request that is a stream of its connection: of HTTP/2 or 3. I/O thread only.
px::HTTPTransactionHandler* make_stream_handler(EventThread& thread,
                                                px::HTTPTransaction& transaction,
                                                const px::HTTPMessage& message,
                                                HttpVersion version);

}  // namespace prowingen::proxygen_engine
