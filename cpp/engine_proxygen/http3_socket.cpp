#include "engine_proxygen/http3_socket.h"

#include <sys/uio.h>

#include <algorithm>
#include <vector>

namespace prowingen::proxygen_engine {
namespace {

constexpr std::uint64_t most_for_a_byte = 3;

/// The first `size` bytes.
std::vector<iovec> beginning_of(const iovec* parts, std::size_t count, std::size_t size) {
  std::vector<iovec> taken;
  for (std::size_t i = 0; i < count && size != 0; ++i) {
    taken.push_back({parts[i].iov_base, std::min(size, parts[i].iov_len)});
    size -= taken.back().iov_len;
  }
  return taken;
}

// By a packet that takes a key which was sent there.
bool has_shown_itself(const quic::QuicServerConnectionState& connection) {
  const auto& handshake = connection.ackStates.handshakeAckState;
  return connection.isClientAddrVerified ||
         (handshake != nullptr && handshake->largestRecvdPacketNum.has_value());
}

}  // namespace

ssize_t BoundedSocket::writev(const folly::SocketAddress& address, const iovec* parts,
                              std::size_t count, WriteOptions options) {
  if (shown_ || connection_ == nullptr || has_shown_itself(*connection_)) {
    shown_ = connection_ != nullptr;
    return AsyncUDPSocket::writev(address, parts, count, options);
  }
  std::size_t whole = 0;
  for (std::size_t i = 0; i < count; ++i) whole += parts[i].iov_len;
  const auto most = most_for_a_byte * connection_->lossState.totalBytesRecvd;
  const auto room = most - std::min(most, sent_);
  auto size = whole;
  if (size > room) {
    // Of several packets in one write those that there is room for.
    const auto packet = static_cast<std::size_t>(std::max(options.gso, 0));
    size = packet == 0 ? 0 : room / packet * packet;
    if (size <= packet) options.gso = 0;  // it is for more than one
  }
  if (size == 0) return static_cast<ssize_t>(whole);
  const auto taken = beginning_of(parts, count, size);
  const auto written = AsyncUDPSocket::writev(address, taken.data(), taken.size(), options);
  if (written < 0) return written;
  sent_ += size;
  return static_cast<ssize_t>(whole);
}

}  // namespace prowingen::proxygen_engine
