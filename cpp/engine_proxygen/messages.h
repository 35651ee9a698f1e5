// Answers as proxygen's messages and buffers.
#pragma once

#include <memory>
#include <string>

#include "core/chunk.h"
#include "core/exchange.h"
#include "core/options.h"
#include "core/refusal.h"
#include "core/response_policy.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

px::HTTPMessage response_message(const Exchange& exchange, ResponseFraming framing, bool keep_alive,
                                 const Options& options);
px::HTTPMessage refusal_message(const Refusal& refusal, const Options& options);
px::HTTPMessage continue_message();

/// Without a copy: the buffer owns what the chunk owned. Not for a file.
std::unique_ptr<folly::IOBuf> to_buffer(Chunk&& chunk);

}  // namespace prowingen::proxygen_engine
