// Has certificates read anew when their files change, and says when they are about to expire.
//
// Whoever holds this asks about once a second, off the I/O threads. Files are read once they have
// been still between two looks: who writes a certificate and then its key is not interrupted.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/engine.h"
#include "tls/context.h"

namespace prowingen::tls {

/// One thread.
class Renewal {
 public:
  using Report = std::function<void(Severity, std::string)>;

  /// Both outlive it. `warns`: of what expires, once a day; where several processes serve the same
  /// certificates, one of them says it.
  Renewal(Context& context, Report report, bool warns);

  void look(std::chrono::steady_clock::time_point now);

 private:
  void warn() const;

  Context& context_;
  const Report report_;
  const bool warns_;
  FileStamps seen_;
  std::chrono::steady_clock::time_point next_look_;
  std::chrono::steady_clock::time_point next_warning_;
};

}  // namespace prowingen::tls
