#include "engine_embedded/arrivals.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/engine_figures.h"
#include "core/unread_input.h"
#include "engine_embedded/channel.h"
#include "engine_embedded/io_thread.h"
#include "http1/response_writer.h"
#include "proxies/proxies.h"

namespace prowingen::embedded {

class Arrivals::Arrival final : private ReadyHandler {
 public:
  enum class Awaited : std::uint8_t { header, handshake, end };

  Arrival(Arrivals& all, ConnectionSocket taken, unsigned from,
          std::shared_ptr<ConnectionInfo> ends, SteadyTime until)
      : socket(std::move(taken)),
        watch(all.io_.loop(), socket.get(), *this),
        listener(from),
        info(std::move(ends)),
        deadline(until),
        all_(all) {}

  ConnectionSocket socket;
  EventLoop::Watch watch;
  const unsigned listener;
  std::shared_ptr<ConnectionInfo> info;
  SteadyTime deadline;
  bool late = false;
  ProxyHeaderReader reader;
  Awaited awaited = Awaited::header;
  std::uint64_t discard_left = 0;
  std::unique_ptr<TlsStream> tls;  // once the handshake has begun
  bool shaking = false;            // and is not over; a probe of the port begins none
  List::iterator place;

 private:
  void on_ready(Interest) override {
    switch (awaited) {
      case Awaited::header: return all_.read_header(*this);
      case Awaited::handshake: return all_.shake_hands(*this);
      case Awaited::end: return all_.discard(*this);
    }
  }

  Arrivals& all_;
};

Arrivals::Arrivals(IoThread& io) : io_(io) {
  if (io.context().tls != nullptr) tls_buffers_ = std::make_unique<TlsBuffers>();
}

Arrivals::~Arrivals() = default;

void Arrivals::add(ConnectionSocket socket, unsigned listener,
                   std::shared_ptr<ConnectionInfo> info) {
  const Proxies& proxies = io_.context().proxies;
  if (proxies.send_headers() && !proxies.may_connect(info->remote_address)) {
    io_.complaints().add(*info, Complaints::not_allowed, {}, io_.now());
    return io_.count_closed();
  }
  const auto time = to_duration(io_.options().header_timeout);
  const auto until =
      io_.now() + (io_.draining() ? std::min<SteadyTime::duration>(time, drain_grace) : time);
  Arrival& arrival = list_.emplace_back(*this, std::move(socket), listener, std::move(info), until);
  arrival.place = std::prev(list_.end());
  if (proxies.send_headers()) return wait(arrival, Interest::read);
  proxies.complete(*arrival.info, nullptr);
  await_handshake(arrival);
}

void Arrivals::wait(Arrival& arrival, Interest interest) {
  if (arrival.watch.wanted() == interest || arrival.watch.want(interest)) return;
  close(arrival, "it cannot be watched");
}

void Arrivals::read_header(Arrival& arrival) {
  using Outcome = ProxyHeaderReader::Outcome;
  switch (arrival.reader.read(arrival.socket.get())) {
    case Outcome::need_more: return;
    case Outcome::complete:
      io_.context().proxies.complete(*arrival.info, &arrival.reader.header());
      return io_.context().tls != nullptr ? await_handshake(arrival) : hand_over(arrival);
    case Outcome::malformed: return close(arrival, Complaints::no_header, arrival.reader.fault());
    case Outcome::closed: return close(arrival, {});
  }
}

void Arrivals::await_handshake(Arrival& arrival) {
  arrival.awaited = Arrival::Awaited::handshake;
  wait(arrival, Interest::read);
}

void Arrivals::shake_hands(Arrival& arrival) {
  if (!arrival.tls) {
    if (tls::begins_as_http(arrival.socket.get())) return answer_plain_http(arrival);
    arrival.shaking = has_unread_input(arrival.socket.get());
    arrival.tls =
        std::make_unique<TlsStream>(*io_.context().tls, arrival.socket.get(), *tls_buffers_);
  }
  switch (arrival.tls->handshake()) {
    case TlsStream::Handshake::wants_read: return wait(arrival, Interest::read);
    case TlsStream::Handshake::wants_write: return wait(arrival, Interest::write);
    case TlsStream::Handshake::done:
      arrival.shaking = false;
      io_.count_handshake(true);
      if (arrival.tls->was_answered()) return end_validation(arrival);
      arrival.info->scheme = "https";
      arrival.info->tls = arrival.tls->facts();
      return hand_over(arrival);
    case TlsStream::Handshake::failed:
      return close(arrival, Complaints::no_handshake, arrival.tls->fault());
    case TlsStream::Handshake::closed: return close(arrival, {});
  }
}

// No data follows it (RFC 8737 section 4).
void Arrivals::end_validation(Arrival& arrival) {
  arrival.tls->finish();
  await_end(arrival);
}

void Arrivals::answer_plain_http(Arrival& arrival) {
  http1::refuse_plain_http(arrival.socket.get(), io_.standing());
  io_.count_refusal();
  await_end(arrival);
}

void Arrivals::await_end(Arrival& arrival) {
  arrival.awaited = Arrival::Awaited::end;
  arrival.discard_left = io_.options().drain_limit + 1;
  discard(arrival);
}

void Arrivals::discard(Arrival& arrival) {
  if (!http1::discard_some(arrival.socket.get(), arrival.discard_left)) close(arrival, {});
}

void Arrivals::hand_over(Arrival& arrival) {
  arrival.watch.remove();
  Channel channel(std::move(arrival.socket), std::move(arrival.tls));
  const auto info = std::move(arrival.info);
  const unsigned listener = arrival.listener;
  list_.erase(arrival.place);
  io_.open(std::move(channel), listener, info);
}

void Arrivals::close(Arrival& arrival, std::string_view why, std::string_view fault) {
  if (arrival.shaking) io_.count_handshake(false);
  if (!why.empty()) io_.complaints().add(*arrival.info, why, fault, io_.now());
  list_.erase(arrival.place);
  io_.count_closed();
}

void Arrivals::expire() {
  while (!list_.empty() && list_.front().deadline <= io_.now()) {
    Arrival& arrival = list_.front();
    const bool refused = arrival.awaited == Arrival::Awaited::end;
    if (!refused && !std::exchange(arrival.late, true) && has_unread_input(arrival.socket.get())) {
      postpone(arrival);
    } else {
      close(arrival, refused || io_.draining() ? std::string_view() : Complaints::late);
    }
  }
}

void Arrivals::postpone(Arrival& arrival) {
  arrival.deadline = io_.now() + drain_grace;
  const auto later = std::ranges::find_if(
      list_, [&](const Arrival& other) { return other.deadline > arrival.deadline; });
  list_.splice(later, list_, arrival.place);
}

void Arrivals::drain() {
  const auto until = io_.now() + drain_grace;
  for (Arrival& arrival : list_) arrival.deadline = std::min(arrival.deadline, until);
}

void Arrivals::close_all() {
  while (!list_.empty()) close(list_.front(), {});
}

}  // namespace prowingen::embedded
