#include "engine_proxygen/event_thread.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/engine_figures.h"
#include "core/peer_state.h"
#include "core/unacknowledged.h"
#include "engine_proxygen/acceptor.h"
#include "engine_proxygen/connection_ends.h"
#include "engine_proxygen/guarded_session.h"
#include "engine_proxygen/handler.h"
#include "engine_proxygen/http1_codec.h"
#include "engine_proxygen/http2_codec.h"
#include "engine_proxygen/last_byte_events.h"
#include "engine_proxygen/read_share.h"
#include "proxies/proxies.h"

namespace prowingen::proxygen_engine {
namespace {

constexpr std::chrono::milliseconds memory_tick_time{100};
// Of all sessions, and of one.
constexpr std::size_t reads_per_turn = 4 * 1024 * 1024 / read_size;
constexpr std::size_t most_reads_per_event = 4;

std::string alternative_at(const folly::SocketAddress& address, const Options& options) {
  if (!address.isFamilyInet()) return {};  // a Unix socket has no port
  if (!options.alt_svc.empty()) return options.alt_svc;
  return "h3=\":" + std::to_string(address.getPort()) + "\"; ma=86400";
}

// Null: of HTTP/3, where each stream has one.
const px::HTTPCodec* codec_of(px::HTTPSessionBase& session) {
  auto* transport = dynamic_cast<px::HTTPSession*>(&session);
  return transport == nullptr
             ? nullptr
             : &static_cast<px::HTTPTransaction::Transport&>(*transport).getCodec();
}

}  // namespace

EventThread::EventThread(const EngineContext& context, const ListenerAddresses& listeners,
                         folly::EventBase& loop)
    : context_(context),
      listeners_(listeners),
      limits_(context.options.request_limits()),
      loop_(loop),
      standing_(context.options.server_header, context.options.date_header),
      complaints_(context),
      memory_watch_(*context.memory, context.report),
      memory_tick_(*this),
      broken_watch_(loop, [this](px::HTTPSessionBase* session) { look_at_broken(session); }) {
  if (!context.options.http3) return;
  for (const auto& address : listeners.all()) {
    standing_.add_alternative(alternative_at(address, context.options));
  }
}

const http1::StandingFields& EventThread::standing() {
  standing_.refresh();
  return standing_;
}

std::unique_ptr<px::HTTPMessage> EventThread::make_message() {
  if (messages_.empty()) return std::make_unique<px::HTTPMessage>();
  auto message = std::move(messages_.back());
  messages_.pop_back();
  return message;
}

void EventThread::recycle(std::unique_ptr<px::HTTPMessage> message) {
  constexpr std::size_t most = 256;
  const bool of_codec = message->getURL().empty();  // and not of HTTP/3
  if (of_codec && messages_.size() < most) messages_.push_back(std::move(message));
}

px::HTTPMessage& EventThread::status_only(int status) {
  status_only_.setStatusCode(static_cast<std::uint16_t>(status));
  return status_only_;
}

Departure EventThread::departure_of(px::ProxygenError error) const {
  if (dropping_for_) return *dropping_for_;
  switch (error) {
    case px::kErrorTimeout: return Departure::body_timeout;
    case px::kErrorWriteTimeout: return Departure::write_timeout;
    case px::kErrorMessage: return Departure::malformed_body;
    case px::kErrorShutdown:
    case px::kErrorDropped: return Departure::server_stopped;
    default: return Departure::client_closed;
  }
}

// ---------------------------------------------------------------------------- sessions

void EventThread::session_opened(px::HTTPSessionBase& session) {
  if (sessions_.contains(&session)) return;
  Session opened{&session};
  if (const auto* codec = codec_of(session)) {
    // The session shows its codec; the codec is ours.
    opened.http1 = const_cast<Http1Codec*>(dynamic_cast<const Http1Codec*>(codec));
    opened.http2 = const_cast<Http2Codec*>(dynamic_cast<const Http2Codec*>(codec));
  }
  Http1Codec* http1 = opened.http1;
  if (opened.http2 != nullptr) opened.http2->attach(session);
  if (http1 == nullptr) {
    opened.streams = std::make_shared<StreamsMoved>();
    opened.idle = std::make_shared<IdleTimer>(*this, session);
    // A session that is being made cannot say goodbye yet, and does as soon as it can.
    const auto time = draining_ ? 0 : options().header_timeout;
    loop_.timer().scheduleTimeout(opened.idle.get(), to_milliseconds(time));
  }
  opened.guarded = dynamic_cast<GuardedSession*>(&session);
  if (opened.guarded != nullptr) ++guarded_sessions_;
  opened.since = std::chrono::steady_clock::now();
  folly::SocketAddress local = session.getLocalAddress();
  if (auto* transport = session.getTransport()) {  // and no connection of QUIC
    static_cast<px::HTTPSession&>(session).setByteEventTracker(std::make_shared<LastByteEvents>());
    auto* socket = transport->getUnderlyingTransport<folly::AsyncSocket>();
    socket->setMaxReadsPerEvent(reads_per_event());
    socket->getLocalAddress(&local);  // the session has another for a Unix socket
    if (const auto found = announced_.find(socket->getNetworkSocket().toFd());
        found != announced_.end()) {
      opened.header = std::move(found->second);
      announced_.erase(found);
    }
  }
  opened.listener = listeners_.listener_at(local);
  count_of(opened).fetch_add(1, std::memory_order_relaxed);
  sessions_.emplace(&session, std::move(opened));
  if (session.getTransport() == nullptr) {
    count_accepted();
    // From here on packets may come from anywhere, before it is known that they are its client's.
    ends_of(session);
  }
  if (http1 != nullptr) {
    http1->attach(session);
    if (draining_) http1->drain();
  }
  open_.fetch_add(1, std::memory_order_relaxed);
  if (!isScheduled()) watch_progress();
  if (!memory_tick_.isScheduled()) see_to_memory();
}

void EventThread::session_closed(px::HTTPSessionBase& session) {
  std::erase(broken_, &session);  // another may soon be where it was
  const auto found = sessions_.find(&session);
  if (found == sessions_.end()) return;
  if (found->second.guarded != nullptr) --guarded_sessions_;
  count_of(found->second).fetch_sub(1, std::memory_order_relaxed);
  sessions_.erase(found);
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (!sessions_.empty()) return;
  cancelTimeout();  // the memory's tick ends by itself
  broken_watch_.rest();
}

void EventThread::session_busy(const px::HTTPSessionBase& session) {
  if (draining_) return;  // its time is the drain's
  if (const auto found = sessions_.find(&session); found != sessions_.end() && found->second.idle) {
    found->second.idle->cancelTimeout();
  }
}

void EventThread::session_idle(const px::HTTPSessionBase& session) {
  const auto found = sessions_.find(&session);
  if (found == sessions_.end() || !found->second.idle || draining_) return;
  found->second.idle_since = std::chrono::steady_clock::now();
  const auto time = options().keep_alive_timeout;
  loop_.timer().scheduleTimeout(found->second.idle.get(),
                                to_milliseconds(time != 0 ? time : options().header_timeout));
}

const std::shared_ptr<const ConnectionInfo>& EventThread::ends_of(
    const px::HTTPSessionBase& session) {
  Session& known = sessions_.at(&session);
  if (!known.ends) {
    const auto ends = connection_ends(session);
    context_.proxies.complete(*ends, known.header ? &*known.header : nullptr);
    ends->tls = tls_facts_of(session);
    if (ends->tls != nullptr) ends->scheme = "https";
    known.ends = ends;
  }
  return known.ends;
}

void EventThread::complain_of_http2(const ConnectionInfo& connection, std::string_view fault) {
  protocol_errors_.fetch_add(1, std::memory_order_relaxed);
  complaints_.add(connection, Complaints::broke_http2, fault, std::chrono::steady_clock::now());
}

void EventThread::complain_of_http3(const ConnectionInfo& connection, std::string_view fault) {
  protocol_errors_.fetch_add(1, std::memory_order_relaxed);
  complaints_.add(connection, Complaints::broke_http3, fault, std::chrono::steady_clock::now());
}

void EventThread::drain() {
  loop_.runInEventBaseThread([this] {
    draining_ = true;
    for (Acceptor* acceptor : acceptors_) acceptor->drain();
    // A copy: an idle session closes at once.
    for (const auto& [key, progress] : std::unordered_map(sessions_)) {
      if (progress.http1 != nullptr) {
        progress.http1->drain();
      } else if (progress.long_idle()) {
        end_idle(*progress.session);
      } else {
        announce_end(*progress.session);
      }
    }
  });
}

bool EventThread::Session::unused() const {
  return idle_since == SteadyTime() && !session->hasActiveTransactions();
}

bool EventThread::Session::long_idle() const {
  if (idle_since == SteadyTime() || session->hasActiveTransactions()) return false;
  return std::chrono::steady_clock::now() - idle_since >= drain_grace;
}

MemoryHolding EventThread::Session::memory_held(SteadyTime now) const {
  if (http1 != nullptr) return http1->memory_held(now);
  if (http2 != nullptr) return http2->memory_held(now);
  return guarded != nullptr ? guarded->memory_held(now) : MemoryHolding{};
}

bool EventThread::Session::give_up() const {
  if (http1 != nullptr) return http1->give_up_head();
  return http2 != nullptr ? http2->give_up() : guarded->give_up();
}

// In two steps: what the client has sent before it learns of this is still answered.
void EventThread::announce_end(px::HTTPSessionBase& session) {
  Session& known = sessions_.at(&session);
  // HTTP/3 has steps of its own. A client that has connected to ask would be told to ask elsewhere.
  if (known.http2 == nullptr && !known.unused()) return end_idle(session);
  known.idle->end_next();
  loop_.timer().scheduleTimeout(known.idle.get(), drain_grace);
  if (known.http2 != nullptr) session.notifyPendingShutdown();
}

void EventThread::IdleTimer::timeoutExpired() noexcept {
  if (thread_.draining_ && !ends_next_) return thread_.announce_end(session_);
  thread_.end_idle(session_);
}

void EventThread::end_idle(px::HTTPSessionBase& session) {
  Http2Codec* http2 = sessions_.at(&session).http2;
  if (http2 != nullptr) http2->disableDoubleGoawayDrain();  // there is nothing to announce
  session.closeWhenIdle();
}

void EventThread::drop(px::HTTPSessionBase& session, Departure why) {
  dropping_for_ = why;
  session.dropConnection();
  dropping_for_.reset();
}

void EventThread::watch_transport(px::HTTPSessionBase& session) {
  const auto* transport = session.getTransport();
  if (transport == nullptr) return;  // of QUIC
  const auto* socket = transport->getUnderlyingTransport<folly::AsyncSocket>();
  broken_watch_.add(session, socket->getNetworkSocket().toFd());
}

// Of one that reads there is nothing to do: it learns by that, and may yet be answered.
void EventThread::look_at_broken(px::HTTPSessionBase* session) {
  if (!sessions_.contains(session)) return;
  const auto* codec = codec_of(*session);
  if (codec != nullptr && codec->isParserPaused()) look_at_transport(*session);
}

void EventThread::look_at_transport(px::HTTPSessionBase& session) {
  const auto* transport = session.getTransport();
  if (transport == nullptr || dropping_for_) return;  // of QUIC, or on its way out
  const auto* socket = transport->getUnderlyingTransport<folly::AsyncSocket>();
  const bool gone =
      transport->error() || peer_state(socket->getNetworkSocket().toFd()) == PeerState::gone;
  if (!gone) return;
  if (!sessions_.contains(&session) || std::ranges::count(broken_, &session) != 0) return;
  // Soon and not now: the session is in the middle of it.
  if (broken_.empty()) loop_.runInLoop([this] { drop_broken(); });
  broken_.push_back(&session);
}

void EventThread::drop_broken() {
  while (!broken_.empty()) {
    auto* session = broken_.back();
    broken_.pop_back();
    drop(*session, Departure::client_closed);
  }
}

void EventThread::watch_progress() {
  loop_.timer().scheduleTimeout(this, to_milliseconds(options().write_timeout / 8));
}

bool EventThread::stands_still(Session& progress, SteadyTime now) const {
  const auto* transport = progress.session->getTransport();
  if (transport == nullptr) return false;  // QUIC misses its client by itself
  const auto* socket = transport->getUnderlyingTransport<folly::AsyncSocket>();
  const auto behind = unacknowledged_bytes(socket->getNetworkSocket().toFd());
  const auto acknowledged = socket->getRawBytesWritten() - behind;
  // HTTP/2: what the client lets the connection send. All its streams wait for that.
  px::HTTPTransaction::FlowControlInfo window;
  dynamic_cast<px::HTTPSession&>(*progress.session).getFlowControlInfo(&window);
  const auto room = window.flowControlEnabled_ ? window.sessionSendWindow_ : 1;
  const bool waits = behind != 0 || (room <= 0 && progress.session->hasActiveTransactions());
  if (!waits || acknowledged != progress.acknowledged || room != progress.room) {
    progress.acknowledged = acknowledged;
    progress.room = room;
    progress.since = now;
  }
  return now - progress.since >= to_duration(options().write_timeout);
}

void EventThread::timeoutExpired() noexcept {
  watch_progress();
  const auto now = std::chrono::steady_clock::now();
  std::vector<px::HTTPSessionBase*> stalled;
  for (auto& [key, progress] : sessions_) {
    if (stands_still(progress, now)) stalled.push_back(progress.session);
  }
  for (auto* session : stalled) drop(*session, Departure::write_timeout);
  std::vector<std::shared_ptr<HandledExchange>> late;  // of HTTP/3
  for (const Handler* handler : handlers_) {
    if (handler->stands_still(now)) late.push_back(handler->shared_exchange());
  }
  for (const auto& exchange : late) {
    if (exchange->handler != nullptr) exchange->handler->on_late_reader();
  }
}

// ---------------------------------------------------------------------------- memory

void EventThread::add(Handler& handler) {
  handler.index = handlers_.size();
  handlers_.push_back(&handler);
}

void EventThread::remove(Handler& handler) {
  std::swap(handlers_[handler.index], handlers_.back());
  handlers_[handler.index]->index = handler.index;
  handlers_.pop_back();
}

std::uint16_t EventThread::reads_per_event() const {
  const auto share = reads_per_turn / std::max<std::size_t>(sessions_.size(), 1);
  return static_cast<std::uint16_t>(std::clamp<std::size_t>(share, 1, most_reads_per_event));
}

void EventThread::await_memory(std::shared_ptr<HandledExchange> exchange) {
  memory_watch_.note_shortage(std::chrono::steady_clock::now());
  awaiting_memory_.add(std::move(exchange));
  look_at_memory();
}

void EventThread::look_at_memory() {
  if (!context_.memory->urgent() || std::exchange(cut_posted_, true)) return;
  loop_.runInLoop([this] {
    cut_posted_ = false;
    see_to_holders(MemoryWatch::Task::cut);
  });
}

void EventThread::see_to_memory() {
  look_at_readers();
  const auto task = memory_watch_.tick(std::chrono::steady_clock::now());
  if (task != MemoryWatch::Task::none) see_to_holders(task);
  awaiting_memory_.resume(*context_.memory, [](HandledExchange& exchange) {
    if (exchange.handler != nullptr) exchange.handler->memory_freed();
  });
  if (!sessions_.empty() || memory_watch_.in_shortage()) {
    loop_.timer().scheduleTimeout(&memory_tick_, memory_tick_time);
  }
}

// Nobody tells when a socket has taken a part of an answer, or none of the rest of it.
void EventThread::look_at_readers() {
  if (context_.memory->used() != 0 || guarded_sessions_ != 0) {
    for (const auto& [key, session] : sessions_) {
      if (session.http1 != nullptr) session.http1->settle_charge();
      if (session.guarded != nullptr) session.guarded->settle_charge();
    }
  }
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [key, session] : sessions_) {
    if (session.http2 != nullptr) session.http2->look_at_output(now);
  }
  // Copies, as what one of them sends now may be the end of it.
  std::vector<std::shared_ptr<HandledExchange>> held_back;
  for (Handler* handler : handlers_) {
    handler->look_at_reader();
    if (handler->is_held_back()) held_back.push_back(handler->shared_exchange());
  }
  for (const auto& exchange : held_back) {
    if (exchange->handler != nullptr) exchange->handler->output_ready();
  }
}

void EventThread::see_to_holders(MemoryWatch::Task task) {
  look_at_readers();
  if (!context_.memory->full()) return;
  // Each holder is given up at most once, and may take others with it: whoever is gone is no more
  // in the map, or has no handler.
  struct Holder {
    const px::HTTPSessionBase* session = nullptr;  // with an unfinished head
    std::shared_ptr<HandledExchange> exchange;
  };
  const auto now = std::chrono::steady_clock::now();
  memory_watch_.see_to_holders<Holder>(
      task, now,
      [&](auto& holders) {
        for (const auto& [key, session] : sessions_) {
          if (const auto held = session.memory_held(now); held.counts()) {
            holders.push_back({held, {key, nullptr}});
          }
        }
        for (const Handler* handler : handlers_) {
          if (const auto held = handler->memory_held(now); held.counts()) {
            holders.push_back({held, {nullptr, handler->shared_exchange()}});
          }
        }
      },
      [this](Holder& holder, std::uint64_t held) {
        if (holder.exchange) {
          return holder.exchange->handler != nullptr && holder.exchange->handler->give_up(held);
        }
        const auto found = sessions_.find(holder.session);
        return found != sessions_.end() && found->second.give_up();
      });
}

// ---------------------------------------------------------------------------- submitting

void EventThread::submit(std::shared_ptr<HandledExchange> exchange) {
  gathered_.push_back(std::move(exchange));
  // Runs behind the sockets that are ready now.
  if (!isLoopCallbackScheduled()) loop_.runInLoop(this, true);
}

void EventThread::submit_gathered() {
  submitting_.swap(gathered_);
  const std::size_t accepted = context_.sink.submit(submitting_);
  for (std::size_t i = accepted; i < submitting_.size(); ++i) {
    auto& exchange = static_cast<HandledExchange&>(*submitting_[i]);
    if (exchange.state() != ExchangeState::receiving) continue;
    if (exchange.handler != nullptr) exchange.handler->reject();
  }
  submitting_.clear();
  if (context_.sink.backlog() >= 2 * gather_time) std::this_thread::sleep_for(gather_time);
}

// ---------------------------------------------------------------------------- mailbox

void EventThread::output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) {
  post_mail({std::move(exchange), Subject::output}, more_soon);
}

void EventThread::body_wanted(std::shared_ptr<Exchange> exchange) {
  post_mail({std::move(exchange), Subject::body}, false);
}

void EventThread::client_doubted(std::shared_ptr<Exchange> exchange) {
  post_mail({std::move(exchange), Subject::client}, false);
}

void EventThread::post_mail(Mail mail, bool may_wait) {
  const std::lock_guard lock(mailbox_mutex_);
  mailbox_.push_back(std::move(mail));
  if (!may_wait || mailbox_.size() >= mail_batch) wake();
}

void EventThread::flush() {
  const std::lock_guard lock(mailbox_mutex_);
  if (!mailbox_.empty()) wake();
}

// With the lock held.
void EventThread::wake() {
  if (closed_ || std::exchange(wake_posted_, true)) return;
  loop_.runInEventBaseThread([this] { deliver_mail(); });
}

void EventThread::close() {
  const std::lock_guard lock(mailbox_mutex_);
  closed_ = true;
}

void EventThread::deliver_mail() {
  {
    const std::lock_guard lock(mailbox_mutex_);
    wake_posted_ = false;
    delivering_.swap(mailbox_);
  }
  for (auto& mail : delivering_) {
    auto& exchange = static_cast<HandledExchange&>(*mail.exchange);
    if (exchange.handler == nullptr) continue;
    switch (mail.subject) {
      case Subject::body: exchange.handler->body_wanted(); break;
      case Subject::output: exchange.handler->output_ready(); break;
      case Subject::client: exchange.handler->client_doubted(); break;
    }
  }
  delivering_.clear();
  look_at_memory();
}

}  // namespace prowingen::proxygen_engine
