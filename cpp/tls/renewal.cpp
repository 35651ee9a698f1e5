#include "tls/renewal.h"

#include <stdexcept>
#include <string_view>
#include <utility>

namespace prowingen::tls {
namespace {

constexpr std::chrono::milliseconds between_looks{900};
constexpr std::chrono::hours between_warnings{24};

}  // namespace

Renewal::Renewal(Context& context, Report report, bool warns)
    : context_(context),
      report_(std::move(report)),
      warns_(warns),
      seen_(context.stamps()),
      next_look_(std::chrono::steady_clock::now()),
      next_warning_(next_look_ + between_warnings) {}

void Renewal::look(std::chrono::steady_clock::time_point now) {
  if (now < next_look_) return;
  next_look_ = now + between_looks;
  if (warns_ && now >= next_warning_) {
    next_warning_ = now + between_warnings;
    warn();
  }
  auto found = context_.look();
  if (found == context_.stamps()) return;
  const bool still = found == seen_;
  seen_ = std::move(found);
  if (!still) return;
  const auto complain = [this](std::string_view fault) {
    report_(Severity::error, std::string(fault) + "; what was read before stays in use");
  };
  try {
    for (const auto& fault : context_.renew()) complain(fault);
  } catch (const std::invalid_argument& error) {
    return complain(error.what());
  }
  report_(Severity::info, "certificates were read anew");
  for (auto& [severity, line] : context_.described()) report_(severity, std::move(line));
}

void Renewal::warn() const {
  for (auto& [severity, line] : context_.described()) {
    if (severity >= Severity::warning) report_(severity, std::move(line));
  }
}

}  // namespace prowingen::tls
