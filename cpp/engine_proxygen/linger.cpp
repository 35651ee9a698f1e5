#include "engine_proxygen/linger.h"

#include <folly/io/async/AsyncSSLSocket.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <utility>

#include "core/engine_figures.h"

namespace prowingen::proxygen_engine {
namespace {

// proxygen tells of a transaction's last byte when it is generated, and not of each one that is
// written: a client that does not take the answer at once is looked at again after this.
constexpr std::chrono::milliseconds retry_time{10};

// folly closes a TLS connection whole instead, and whatever has come in on it resets it.
void shut_down_writing(folly::AsyncTransport& transport) {
  auto* tls = transport.getUnderlyingTransport<folly::AsyncSSLSocket>();
  if (tls == nullptr) return transport.shutdownWrite();
  SSL_shutdown(const_cast<SSL*>(tls->getSSL()));  // close_notify
  ERR_clear_error();
  ::shutdown(tls->getNetworkSocket().toFd(), SHUT_WR);
}

}  // namespace

void Linger::begin_after(px::HTTPSessionBase& session, std::uint64_t bytes) {
  ends_ = true;
  await(session, bytes);
}

void Linger::half_close_after(px::HTTPSessionBase& session, std::uint64_t bytes) {
  await(session, bytes);
}

void Linger::await(px::HTTPSessionBase& session, std::uint64_t bytes) {
  session_ = &session;
  bytes_ = bytes;
  cancelTimeout();
  // Behind the session's own writing.
  if (!isLoopCallbackScheduled()) session.getEventBase()->runInLoop(this, true);
}

void Linger::shut_down_sending() {
  folly::AsyncTransport& socket = *session_->getTransport();
  const bool written = socket.getAppBytesWritten() >= bytes_;
  if (written && !std::exchange(shut_, true)) shut_down_writing(socket);
  lingering_ = shut_ && ends_;
  if (shut_ && !ends_) return;
  session_->getEventBase()->timer().scheduleTimeout(this, lingering_ ? linger_time : retry_time);
}

bool Linger::end() {
  if (lingering_ && !std::exchange(ending_, true)) session_->getEventBase()->runInLoop(this, true);
  return lingering_;
}

void Linger::runLoopCallback() noexcept { ending_ ? drop() : shut_down_sending(); }

void Linger::timeoutExpired() noexcept { lingering_ ? drop() : shut_down_sending(); }

// And with the connection the codec, and this.
void Linger::drop() { session_->dropConnection(); }

}  // namespace prowingen::proxygen_engine
