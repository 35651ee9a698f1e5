#include "engine_proxygen/http3_datagram_sockets.h"

#include <folly/io/async/AsyncUDPSocket.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "engine_proxygen/http3_socket.h"

namespace prowingen::proxygen_engine {
namespace {

using folly::AsyncUDPSocket;
using Reader = AsyncUDPSocket::ReadCallback;

// Where the datagram was sent to that this thread is about; null: it does not matter.
thread_local const folly::SocketAddress* asked_at = nullptr;

template <typename Information>
folly::SocketNontrivialCmsgMap control(int level, int name, const Information& information) {
  std::string bytes(sizeof information, '\0');
  std::memcpy(bytes.data(), &information, sizeof information);
  return {{folly::SocketOptionKey{level, name}, std::move(bytes)}};
}

// ip(7), ipv6(7): what has a datagram leave by an address.
folly::SocketNontrivialCmsgMap leaving_by(const folly::SocketAddress& address) {
  sockaddr_storage storage{};
  address.getAddress(&storage);
  if (address.getFamily() == AF_INET) {
    in_pktinfo information{};
    information.ipi_spec_dst = reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
    return control(IPPROTO_IP, IP_PKTINFO, information);
  }
  in6_pktinfo information{};
  information.ipi6_addr = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
  return control(IPPROTO_IPV6, IPV6_PKTINFO, information);
}

class ListeningSocket final : public AsyncUDPSocket, private Reader {
 public:
  explicit ListeningSocket(folly::EventBase* loop) : AsyncUDPSocket(loop) { setRecvDstAddr(true); }

  void resumeRead(Reader* reader) override {
    reader_ = reader;
    AsyncUDPSocket::resumeRead(this);
  }

  // Of what needs no connection: that there is none, or none such version.
  ssize_t write(const folly::SocketAddress& to,
                const std::unique_ptr<folly::IOBuf>& datagram) override {
    setNontrivialCmsgs(asked_at == nullptr ? folly::SocketNontrivialCmsgMap()
                                           : leaving_by(*asked_at));
    return AsyncUDPSocket::write(to, datagram);
  }

 private:
  void getReadBuffer(void** buffer, size_t* size) noexcept override {
    reader_->getReadBuffer(buffer, size);
  }
  void onDataAvailable(const folly::SocketAddress& client, size_t size, bool truncated,
                       Reader::OnDataAvailableParams about) noexcept override {
    auto& to = about.localAddress;
    if (to) to->setPort(address().getPort());
    asked_at = to ? &*to : nullptr;
    reader_->onDataAvailable(client, size, truncated, about);
    asked_at = nullptr;
  }
  void onReadError(const folly::AsyncSocketException& error) noexcept override {
    reader_->onReadError(error);
  }
  void onReadClosed() noexcept override { reader_->onReadClosed(); }

  Reader* reader_ = nullptr;
};

class ConnectionSocket final : public BoundedSocket {
 public:
  ConnectionSocket(folly::EventBase* loop, const folly::SocketAddress& own)
      : BoundedSocket(loop), own_(own) {
    setNontrivialCmsgs(leaving_by(own_));
  }
  const folly::SocketAddress& address() const override { return own_; }

 private:
  const folly::SocketAddress own_;
};

class ListeningSockets final : public quic::QuicUDPSocketFactory {
 public:
  explicit ListeningSockets(bool for_all_addresses) : for_all_addresses_(for_all_addresses) {}

  std::unique_ptr<AsyncUDPSocket> make(folly::EventBase* loop, int) override {
    if (for_all_addresses_) return std::make_unique<ListeningSocket>(loop);
    return std::make_unique<AsyncUDPSocket>(loop);
  }

 private:
  const bool for_all_addresses_;
};

class ConnectionSockets final : public quic::QuicUDPSocketFactory {
 public:
  std::unique_ptr<AsyncUDPSocket> make(folly::EventBase* loop, int descriptor) override {
    std::unique_ptr<AsyncUDPSocket> socket;
    if (asked_at == nullptr) {
      socket = std::make_unique<BoundedSocket>(loop);
    } else {
      socket = std::make_unique<ConnectionSocket>(loop, *asked_at);
    }
    socket->setFD(folly::NetworkSocket::fromFd(descriptor), AsyncUDPSocket::FDOwnership::SHARED);
    socket->setDFAndTurnOffPMTU();
    return socket;
  }
};

}  // namespace

void tell_destinations(int socket, const folly::SocketAddress& bound_to) {
  if (!bound_to.getIPAddress().isZero()) return;
  const int on = 1;
  const bool is_ipv6 = bound_to.getFamily() == AF_INET6;
  const int level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int name = is_ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
  if (::setsockopt(socket, level, name, &on, sizeof on) != 0) {
    throw std::system_error(
        errno, std::generic_category(),
        "http3: where datagrams to " + bound_to.describe() + " are sent to cannot be told");
  }
}

std::unique_ptr<quic::QuicUDPSocketFactory> listening_sockets(
    const folly::SocketAddress& bound_to) {
  return std::make_unique<ListeningSockets>(bound_to.getIPAddress().isZero());
}

std::unique_ptr<quic::QuicUDPSocketFactory> connection_sockets() {
  return std::make_unique<ConnectionSockets>();
}

}  // namespace prowingen::proxygen_engine
