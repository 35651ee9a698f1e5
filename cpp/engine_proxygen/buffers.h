// Pieces of a body as proxygen's buffers.
#pragma once

#include <memory>

#include "core/chunk.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// Without a copy: the buffer owns what the chunk owned. Not for a file.
std::unique_ptr<folly::IOBuf> to_buffer(Chunk&& chunk);

/// The next bytes of a file, which are taken off the range; nullptr if the file has become shorter.
/// proxygen has no sendfile(2).
std::unique_ptr<folly::IOBuf> read_piece(FileRange& range);

}  // namespace prowingen::proxygen_engine
