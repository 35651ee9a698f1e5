// The engine of exchanges that no engine is asked about.
#pragma once

#include <memory>

#include "core/engine.h"

namespace prowingen {

struct NoTransport final : Transport {
  void output_ready(std::shared_ptr<Exchange>, bool) override {}
  void body_wanted(std::shared_ptr<Exchange>) override {}
  void client_doubted(std::shared_ptr<Exchange>) override {}
  void flush() override {}
};

}  // namespace prowingen
