#include "core/exchange.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/copying.h"
#include "core/engine.h"

namespace prowingen {
namespace {

using enum ExchangeState;

constexpr std::size_t states = static_cast<std::size_t>(departed) + 1;
constexpr std::size_t events = static_cast<std::size_t>(ExchangeEvent::depart) + 1;

// A state that maps an event to itself ignores it; `illegal` is an error of ours.
constexpr auto illegal = static_cast<ExchangeState>(0xFF);

// clang-format off
constexpr std::array<std::array<ExchangeState, events>, states> table{{
    //               submit   take     head        finish    written    abort      depart
    /* receiving  */ {queued,  illegal, illegal,    illegal,  illegal,   illegal,   departed},
    /* queued     */ {illegal, running, illegal,    illegal,  illegal,   illegal,   departed},
    /* running    */ {illegal, illegal, responding, illegal,  illegal,   aborted,   departed},
    /* responding */ {illegal, illegal, illegal,    finished, illegal,   aborted,   departed},
    /* finished   */ {illegal, illegal, illegal,    illegal,  completed, finished,  departed},
    /* completed  */ {illegal, illegal, illegal,    illegal,  illegal,   completed, completed},
    /* aborted    */ {illegal, illegal, illegal,    illegal,  illegal,   aborted,   aborted},
    /* departed   */ {departed, departed, departed,  departed, departed,  departed,  departed},
}};
// clang-format on

// Small pieces are merged up to this size, so that a generator of short strings costs one
// system call and not one for each of them.
constexpr std::size_t merge_limit = 16 * 1024;

// What all threads share is looked at for an answer that is not small alone.
std::size_t room_for(std::uint64_t waiting, std::size_t high_water, const MemoryBudget* budget) {
  const bool small = budget == nullptr || waiting < MemoryBudget::answer_floor;
  return small ? high_water : budget->answer_room(high_water);
}

}  // namespace

ExchangeState next_state(ExchangeState state, ExchangeEvent event) {
  const auto next = table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  if (next == illegal) {
    throw std::logic_error("exchange: event " + std::to_string(static_cast<int>(event)) +
                           " is illegal in state " + std::to_string(static_cast<int>(state)));
  }
  return next;
}

std::string_view application_path(const Exchange& exchange, std::string_view path) {
  const auto* forwarded = exchange.peer->forwarded.get();
  const std::string_view prefix = forwarded != nullptr ? forwarded->prefix : std::string_view();
  const bool still_there = !prefix.empty() && path.starts_with(prefix) &&
                           (path.size() == prefix.size() || path[prefix.size()] == '/');
  return still_there ? path.substr(prefix.size()) : path;
}

Exchange::Exchange(Transport& transport)
    : budget_(transport.memory()),
      transport_(transport),
      charge_(budget_.get()),
      stored_(budget_.get()) {}

std::string_view describe(Departure departure) {
  switch (departure) {
    case Departure::none: return "the exchange is over";
    case Departure::client_closed: return "the client closed the connection";
    case Departure::body_timeout: return "the client sent no body bytes within body_timeout";
    case Departure::write_timeout: return "the client read no answer within write_timeout";
    case Departure::too_slow: return "the client was slower than min_rate";
    case Departure::memory_short:
      return "the server gave the request up, since its memory_budget is full";
    case Departure::malformed_body: return "the client sent a malformed request body";
    case Departure::body_too_large: return "the request body is larger than max_body";
    case Departure::server_stopped: return "the server is stopping";
    case Departure::overruled: return "the request took longer than request_timeout";
  }
  return "unknown";
}

Exchange::Intake Exchange::store_body(std::string_view bytes, std::optional<std::size_t> most,
                                      const std::shared_ptr<Spool>& spool) {
  const bool fits = !stored_.add(bytes, spool);
  if (!fits && !most) return Intake::refuse;
  if (!fits) stored_.add_to_memory(bytes);
  settle_request();
  if (fits && (!most || stored_.size() < *most)) return Intake::read_on;
  const std::lock_guard lock(mutex_);
  intake_paused_ = true;
  return Intake::pause;
}

Exchange::Intake Exchange::append_body(std::string_view bytes, std::size_t high_water) {
  bool was_empty;
  Intake intake = Intake::read_on;
  bytes.remove_prefix(offer_to_watcher(bytes));
  if (bytes.empty()) return intake;
  {
    const std::lock_guard lock(mutex_);
    if (over() || input_closed_) return intake;
    was_empty = incoming_.empty();
    append_octets(incoming_, bytes);
    settle_request();
    if (incoming_.size() >= high_water) {
      intake_paused_ = true;
      intake = Intake::pause;
    }
  }
  if (was_empty) tell();
  return intake;
}

// Whoever is told of what comes may as well take it, unless something waits before it.
std::size_t Exchange::offer_to_watcher(std::string_view bytes) {
  if (!watched_.load(std::memory_order_acquire)) return 0;
  std::shared_ptr<ExchangeWatcher> watcher;
  {
    const std::lock_guard lock(mutex_);
    if (over() || input_closed_ || !stored_.empty() || !incoming_.empty()) return 0;
    watcher = watcher_;
  }
  return watcher ? watcher->take(bytes) : 0;
}

void Exchange::add_trailer(std::string_view name, std::string_view value) {
  const std::lock_guard lock(mutex_);
  if (over()) return;
  if (!trailers_) trailers_ = std::make_unique<FieldSection>();
  trailers_->add_field(name, value);
  settle_request();
}

void Exchange::finish_body() {
  {
    const std::lock_guard lock(mutex_);
    body_finished_ = true;
  }
  tell();
}

bool Exchange::body_ready() const {
  const std::lock_guard lock(mutex_);
  return state_ == departed || (has_body_news() && !stored_.next_is_in_file());
}

bool Exchange::body_read() const {
  const std::lock_guard lock(mutex_);
  return body_finished_ && stored_.empty() && incoming_.empty();
}

bool Exchange::body_whole() const {
  const std::lock_guard lock(mutex_);
  return body_finished_;
}

bool Exchange::body_used_up() const {
  const std::lock_guard lock(mutex_);
  return stored_.empty() && incoming_.empty();
}

void Exchange::watch(std::shared_ptr<ExchangeWatcher> watcher) {
  const std::lock_guard lock(mutex_);
  watcher_.swap(watcher);
  watched_.store(true, std::memory_order_release);
}

void Exchange::unwatch(const ExchangeWatcher& watcher) {
  std::shared_ptr<ExchangeWatcher> dropped;  // after the lock
  const std::lock_guard lock(mutex_);
  if (watcher_.get() != &watcher) return;
  dropped.swap(watcher_);
  watched_.store(end_listener_ != nullptr, std::memory_order_release);
}

bool Exchange::tell_of_end(std::shared_ptr<ExchangeEndListener> whom) {
  const std::lock_guard lock(mutex_);
  if (over() || replaced_) return false;
  end_listener_ = std::move(whom);
  watched_.store(true, std::memory_order_release);
  return true;
}

void Exchange::hold(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  held_ = bytes;
  settle_request();
}

void Exchange::keep_for_answer(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  kept_for_answer_ = bytes;
  settle_request();
}

void Exchange::announce(bool more_soon, bool goes_on) {
  transport_.output_ready(shared_from_this(), more_soon);
  if (!goes_on) return;
  if (Lead* const lead = lent(); lead != nullptr) lead->call();
}

Lead* Exchange::lent() const {
  Lead* const lead = transport_.lead();
  return lead != nullptr && lead->is_lent() ? lead : nullptr;
}

void Exchange::tell() {
  changed_.notify_all();
  if (leading_.load() != 0) transport_.lead()->wake();
  if (!watched_.load(std::memory_order_acquire)) return;
  std::shared_ptr<ExchangeWatcher> watcher;
  std::shared_ptr<ExchangeEndListener> ended;
  bool early;
  {
    const std::lock_guard lock(mutex_);
    watcher = watcher_;
    if (over() || replaced_) ended.swap(end_listener_);
    early = departure_ != Departure::none;
  }
  if (watcher) watcher->on_change();
  if (ended) ended->on_end(early);
}

bool Exchange::wants_input() const {
  const std::lock_guard lock(mutex_);
  return !body_finished_ && !input_closed_;
}

void Exchange::close_input() {
  std::string dropped;
  bool signal;
  bool resume;
  {
    const std::lock_guard lock(mutex_);
    if (over() || input_closed_) return;
    input_closed_ = true;
    resume = std::exchange(intake_paused_, false);
    dropped.swap(incoming_);
    settle_request();
    signal = !signalled_;
    signalled_ = true;
  }
  tell();
  if (resume) transport_.body_wanted(shared_from_this());
  if (signal) announce(false, true);
}

Exchange::Read Exchange::read_body(std::string& buffer, std::optional<SteadyTime> until) {
  buffer.clear();
  std::unique_ptr<SpoolFile> used_up;  // which ends after the lock
  std::unique_lock lock(mutex_);
  if (!has_body_news() && !body_asked_for_) {
    // The first wait of a request may have to send `100 Continue`; later ones only ever wait.
    body_asked_for_ = true;
    lock.unlock();
    transport_.body_wanted(shared_from_this());
    lock.lock();
  }
  if (!await(lock, until, [this] { return has_body_news(); })) return Read::timed_out;
  if (state_ == departed || replaced_) return Read::departed;
  // Of an exchange that came to its own end, what had arrived by then can still be read.
  if (!stored_.empty()) {
    // While it reads the file nobody else is held up, and nothing changes that others look at.
    const bool from_disk = stored_.next_is_in_file();
    if (from_disk) lock.unlock();
    if (stored_.take(buffer)) return Read::failed;
    if (from_disk) lock.lock();
    used_up = stored_.release_file();
    settle_request();
    if (!stored_.empty()) return Read::bytes;  // no more is wanted yet
  } else if (incoming_.empty()) {
    return body_finished_ || input_closed_ ? Read::end : Read::departed;
  } else {
    buffer.swap(incoming_);
    settle_request();
  }
  const bool resume = intake_paused_ && !over();
  intake_paused_ = false;
  lock.unlock();
  if (resume) transport_.body_wanted(shared_from_this());
  return Read::bytes;
}

Exchange::Push Exchange::push(Chunk chunk, std::size_t high_water, bool last, bool more_soon) {
  return push_all({&chunk, 1}, high_water, last, more_soon);
}

Exchange::Push Exchange::push_both(Chunk first, Chunk second, std::size_t high_water) {
  std::array chunks{std::move(first), std::move(second)};
  return push_all(chunks, high_water, false, false);
}

void Exchange::add_output(Chunk& chunk) {
  const auto size = chunk.size();
  if (size == 0) return;
  outgoing_bytes_ += size;
  outgoing_memory_ += chunk.memory();
  std::string* tail = outgoing_.empty() ? nullptr : outgoing_.back().own();
  std::string* own = chunk.own();
  if (tail != nullptr && own != nullptr && tail->size() + own->size() <= merge_limit) {
    tail->append(*own);
  } else {
    outgoing_.push_back(std::move(chunk));
  }
}

Exchange::Push Exchange::push_all(std::span<Chunk> chunks, std::size_t high_water, bool last,
                                  bool more_soon) {
  bool signal;
  bool full;
  {
    const std::lock_guard lock(mutex_);
    // Threads of the application's may not know that it aborted, or what another of them has ended.
    const bool ended = state_ == finished || state_ == completed;
    if (is_cut() || (ended && !last)) return Push::departed;
    if (state_ == running) {
      advance(ExchangeEvent::head);
      head_pending_ = true;
    }
    // All or none of what belongs together.
    if (chunks.size() > 1) outgoing_.reserve(outgoing_.size() + chunks.size());
    for (Chunk& chunk : chunks) add_output(chunk);
    settle_charge();
    high_water_ = room_for(outgoing_bytes_, high_water, charge_.budget());
    if (last) {
      advance(ExchangeEvent::finish);
      finished_at = std::chrono::steady_clock::now();
    }
    full = !last && outgoing_bytes_ >= high_water_;
    signal = !signalled_;
    signalled_ = true;
  }
  if (signal) announce(more_soon, !last);
  return full ? Push::full : Push::ok;
}

Exchange::Push Exchange::inform(ResponseHead head, std::size_t high_water) {
  bool signal;
  bool full;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != running) return Push::departed;
    outgoing_bytes_ += head.wire().size();
    outgoing_memory_ += head.memory();
    if (!interim_) interim_ = std::make_unique<std::vector<ResponseHead>>();
    interim_->push_back(std::move(head));
    settle_charge();
    high_water_ = room_for(outgoing_bytes_, high_water, charge_.budget());
    full = outgoing_bytes_ >= high_water_;
    signal = !signalled_;
    signalled_ = true;
  }
  if (signal) announce(false, true);
  return full ? Push::full : Push::ok;
}

void Exchange::flush() { transport_.flush(); }

void Exchange::doubt_client() { transport_.client_doubted(shared_from_this()); }

Exchange::Push Exchange::wait_writable(std::optional<SteadyTime> until) {
  std::unique_lock lock(mutex_);
  ++waiting_writers_;
  const bool ready =
      await(lock, until, [this] { return outgoing_bytes_ < high_water_ || is_cut(); });
  --waiting_writers_;
  if (is_cut()) return Push::departed;
  return ready ? Push::ok : Push::full;
}

bool Exchange::wait_over(std::optional<SteadyTime> until) {
  std::unique_lock lock(mutex_);
  return await(lock, until, [this] { return over() || replaced_; });
}

void Exchange::abort() {
  bool signal;
  {
    const std::lock_guard lock(mutex_);
    const auto before = state_;
    advance(ExchangeEvent::abort);
    if (state_ == before) return;  // all was said, or nobody hears it
    cut_.store(true, std::memory_order_release);
    finished_at = std::chrono::steady_clock::now();
    signal = !signalled_;
    signalled_ = true;
  }
  tell();
  if (signal) announce(false, true);
}

Exchange::Overruling Exchange::overrule(ResponseHead head, std::string text) {
  Overruling done = Overruling::none;
  std::vector<Chunk> dropped;
  std::unique_ptr<std::vector<ResponseHead>> dropped_interim;
  bool signal;
  {
    const std::lock_guard lock(mutex_);
    // What comes after a switch is no answer that could be late.
    if (state_ == responding && !response_body.opaque) {
      advance(ExchangeEvent::abort);
      done = Overruling::cut;
    } else if (state_ == running) {
      replaced_ = std::make_unique<Replaced>();
      replaced_->head = std::move(head);
      ResponseBody& body = replaced_->body;
      body.allowed = response_has_content(request.method(), replaced_->head.status);
      body.length_known = body.add_length_field = true;
      body.length = text.size();
      dropped_interim.swap(interim_);
      dropped.swap(outgoing_);
      outgoing_bytes_ = outgoing_memory_ = 0;
      if (Chunk page(std::move(text)); body.allowed) add_output(page);
      settle_charge();
      advance(ExchangeEvent::head);
      head_pending_ = true;
      advance(ExchangeEvent::finish);
      done = Overruling::answered;
    } else {
      return done;
    }
    departure_ = Departure::overruled;
    cut_.store(true, std::memory_order_release);
    finished_at = std::chrono::steady_clock::now();
    signal = !signalled_;
    signalled_ = true;
  }
  tell();
  if (signal) announce(false, true);
  return done;
}

bool Exchange::switched() const {
  const std::lock_guard lock(mutex_);
  const bool has_head = state_ == responding || state_ == finished;
  return has_head && !replaced_ && response_body.opaque;
}

void Exchange::take_output(Output& out) {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    signalled_ = false;
    if (interim_) out.interim = std::move(*std::exchange(interim_, nullptr));
    out.head = head_pending_;
    head_pending_ = false;
    out.finished = state_ == finished;
    out.aborted = state_ == aborted;
    out.chunks.swap(outgoing_);
    wake = waiting_writers_ != 0 || watched_.load(std::memory_order_relaxed);
    outgoing_bytes_ = outgoing_memory_ = 0;
    settle_charge();
  }
  if (wake) tell();
}

void Exchange::written() {
  {
    const std::lock_guard lock(mutex_);
    advance(ExchangeEvent::written);
  }
  tell();
}

void Exchange::submit() {
  const std::lock_guard lock(mutex_);
  settle_request();
  advance(ExchangeEvent::submit);
}

bool Exchange::take() {
  const std::lock_guard lock(mutex_);
  advance(ExchangeEvent::take);
  return taken_ = state_ == running;
}

void Exchange::depart(Departure why) { end_early(why, true); }

bool Exchange::depart_untaken(Departure why) { return end_early(why, false); }

bool Exchange::end_early(Departure why, bool if_taken) {
  std::vector<Chunk> dropped;
  std::unique_ptr<std::vector<ResponseHead>> dropped_interim;
  std::string dropped_body;
  StoredBody dropped_stored(budget_.get());
  std::unique_ptr<FieldSection> dropped_trailers;
  {
    const std::lock_guard lock(mutex_);
    const auto before = state_;
    const bool untaken = before == receiving || before == queued;
    if (!untaken && !if_taken) return false;
    advance(ExchangeEvent::depart);
    if (state_ == before) return false;
    departure_ = why;
    cut_.store(true, std::memory_order_release);
    dropped.swap(outgoing_);
    dropped_interim.swap(interim_);
    // Nobody can read it any more. A worker may be in the middle of what was stored, and frees it.
    dropped_body.swap(incoming_);
    if (untaken) {
      std::swap(dropped_stored, stored_);
      dropped_trailers.swap(trailers_);
    }
    outgoing_bytes_ = outgoing_memory_ = 0;
    settle_request();
  }
  tell();
  return true;
}

void Exchange::forget_request() {
  RequestHead dropped;
  const std::lock_guard lock(mutex_);
  if (taken_ || (state_ != departed && state_ != receiving)) return;
  std::swap(dropped, request);
  settle_request();
}

Departure Exchange::departure() const {
  const std::lock_guard lock(mutex_);
  return departure_;
}

std::uint64_t Exchange::memory_charged() const {
  const std::lock_guard lock(mutex_);
  return charge_.bytes();
}

std::uint64_t Exchange::memory_to_regain() const {
  const std::lock_guard lock(mutex_);
  if (state_ == receiving || state_ == queued) return charge_.bytes();
  return over() ? 0 : std::min(charge_.bytes(), incoming_.size() + held_ + outgoing_memory_);
}

ExchangeState Exchange::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Exchange::recycle() {
  request.clear();
  response.clear();
  response_body = {};
  response_trailers.reset();
  events.reset();
  messages.reset();
  has_body = may_have_trailers = expects_continue = may_upgrade = is_probe = false;
  lane = 0;
  received_at = queued_at = taken_at = deadline = finished_at = SteadyTime();
  replaced_.reset();
  route = Route::native;
  state_ = receiving;
  departure_ = Departure::none;
  taken_ = false;
  cut_.store(false, std::memory_order_relaxed);
  stored_.clear(merge_limit);
  incoming_.clear();
  trailers_.reset();
  if (incoming_.capacity() > merge_limit) incoming_.shrink_to_fit();
  body_finished_ = input_closed_ = intake_paused_ = body_asked_for_ = false;
  interim_.reset();
  outgoing_.clear();
  outgoing_bytes_ = outgoing_memory_ = held_ = kept_for_answer_ = 0;
  settle_request();
  head_pending_ = signalled_ = false;
  watched_ = false;
  watcher_.reset();
  end_listener_.reset();
}

}  // namespace prowingen
