#include "engine_proxygen/arrival.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/complaints.h"
#include "core/engine_figures.h"
#include "core/unread_input.h"
#include "engine_proxygen/acceptor.h"
#include "engine_proxygen/kept_socket.h"
#include "http1/response_writer.h"
#include "tls/context.h"

namespace prowingen::proxygen_engine {

namespace {

/// OpenSSL's reason alone, out of what folly makes of it:
/// "AsyncSocketException: error:0A000418:SSL routines::tlsv1 alert unknown ca, type = SSL error".
std::string_view reason_of(std::string_view told) {
  constexpr std::string_view before = " routines:";
  const auto start = told.find(before);
  if (start == std::string_view::npos) return told;
  told.remove_prefix(start + before.size());
  told.remove_prefix(std::min(told.find(':') + 1, told.size()));  // a function's name, or none
  return told.substr(0, told.find(", type"));
}

}  // namespace

Arrival::Arrival(Acceptor& acceptor, ConnectionSocket socket, const folly::SocketAddress& peer,
                 const AcceptInfo& accept_info)
    : EventHandler(acceptor.getEventBase(), folly::NetworkSocket::fromFd(socket.get())),
      acceptor_(acceptor),
      socket_(std::move(socket)),
      peer_(peer),
      accept_info_(accept_info) {}

Arrival::~Arrival() {
  over_ = true;
  transport_.reset();
}

void Arrival::start(Awaited awaited, std::chrono::milliseconds time) {
  awaited_ = awaited;
  acceptor_.getEventBase()->timer().scheduleTimeout(this, time);
  if (!registerHandler(READ | PERSIST)) acceptor_.close(*this, "it cannot be watched");
}

void Arrival::hurry(std::chrono::milliseconds time) {
  acceptor_.getEventBase()->timer().scheduleTimeout(this, std::min(time, getTimeRemaining()));
}

ConnectionSocket Arrival::take_socket() {
  cancelTimeout();
  unregisterHandler();
  return std::move(socket_);
}

void Arrival::handlerReady(std::uint16_t) noexcept {
  switch (awaited_) {
    case Awaited::header: return read_header();
    case Awaited::handshake: return begin_handshake();
    case Awaited::preface: return look_for_preface();
    case Awaited::end: return discard();
  }
}

void Arrival::await_preface() {
  awaited_ = Awaited::preface;
  look_for_preface();
}

// What it shares with the preface is read, so that this is not called again for it; of another
// beginning nothing is.
void Arrival::look_for_preface() {
  std::array<char, http2_preface.size()> bytes;
  const auto rest = http2_preface.substr(preface_read_);
  const auto size = ::recv(socket_.get(), bytes.data(), rest.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (size <= 0 || !rest.starts_with({bytes.data(), static_cast<std::size_t>(size)})) {
    return acceptor_.hand_over(*this);
  }
  preface_read_ += static_cast<std::size_t>(
      std::max<ssize_t>(0, ::recv(socket_.get(), bytes.data(), static_cast<std::size_t>(size), 0)));
  if (preface_read_ == http2_preface.size()) acceptor_.hand_over(*this);
}

void Arrival::await_end(std::uint64_t limit) {
  awaited_ = Awaited::end;
  discard_left_ = limit + 1;
  discard();
}

void Arrival::discard() {
  if (!http1::discard_some(socket_.get(), discard_left_)) acceptor_.close(*this, {});
}

void Arrival::read_header() {
  using Outcome = ProxyHeaderReader::Outcome;
  switch (reader_.read(socket_.get())) {
    case Outcome::need_more: return;
    case Outcome::complete: return acceptor_.header_came(*this);
    case Outcome::malformed: return acceptor_.close(*this, Complaints::no_header, reader_.fault());
    case Outcome::closed: return acceptor_.close(*this, {});
  }
}

void Arrival::begin_handshake() {
  if (tls::begins_as_http(socket_.get())) return acceptor_.refuse_plain_http(*this, socket_.get());
  shaking_ = has_unread_input(socket_.get());
  unregisterHandler();
  transport_.reset(new folly::AsyncSSLSocket(acceptor_.tls().current(), acceptor_.getEventBase(),
                                             folly::NetworkSocket::fromFd(socket_.release()), true,
                                             false, &peer_));
  keep_socket(*transport_);
  transport_->sslAccept(this);  // within this one's time
}

void Arrival::handshakeSuc(folly::AsyncSSLSocket*) noexcept {
  if (over_) return;
  cancelTimeout();
  acceptor_.hand_over_transport(*this);
}

void Arrival::handshakeErr(folly::AsyncSSLSocket*,
                           const folly::AsyncSocketException& error) noexcept {
  if (over_) return;
  // Anything else is the client's departure.
  const bool left = error.getType() != folly::AsyncSocketException::SSL_ERROR;
  acceptor_.close(*this, left ? std::string_view() : Complaints::no_handshake,
                  reason_of(error.what()));
}

int Arrival::descriptor() const {
  return transport_ ? transport_->getNetworkSocket().toFd() : socket_.get();
}

void Arrival::timeoutExpired() noexcept {
  const bool told = awaited_ == Awaited::end;
  if (!told && !std::exchange(late_, true) && has_unread_input(descriptor())) {
    // Its client has just spoken, perhaps while this process did not run: once more.
    acceptor_.getEventBase()->timer().scheduleTimeout(this, drain_grace);
    return;
  }
  // Half of what may be a request is answered, and silence is no reason to complain.
  if (preface_read_ != 0) return acceptor_.hand_over(*this);
  const bool silent = awaited_ == Awaited::preface;
  acceptor_.close(*this, told || silent ? std::string_view() : Complaints::late);
}

}  // namespace prowingen::proxygen_engine
