#include "websocket/session.h"

#include <algorithm>
#include <span>
#include <utility>

#include "websocket/frame_writer.h"

namespace prowingen::websocket {
namespace {

constexpr SteadyTime at_once{};
constexpr SteadyTime never = SteadyTime::max();

// As much waits for the application before its client has to.
constexpr std::size_t inbox_octets = std::size_t{64} * 1024;
constexpr std::size_t inbox_messages = 128;
// One that is idle keeps room for so many.
constexpr std::size_t kept_places = 4;

// As long may an application that has messages of its client's take to answer them, once that has
// said goodbye or broken a rule.
constexpr std::chrono::seconds last_words{1};

// A shorter message grows by compression, or hardly shrinks.
constexpr std::size_t compress_from = 64;

// Below this a copy is cheaper than sharing.
constexpr std::size_t share_from = 2048;

// Told to the exchange in steps, since each takes its lock.
constexpr std::size_t memory_step = MemoryCharge::step;

SteadyTime now() { return std::chrono::steady_clock::now(); }

SteadyTime::rep ticks(SteadyTime time) { return time.time_since_epoch().count(); }

}  // namespace

// ---------------------------------------------------------------------------- for many

SharedMessage::SharedMessage(Opcode opcode, std::string payload)
    : opcode_(opcode),
      payload_(std::move(payload)),
      plain_(std::make_shared<const std::string>(make_frame(opcode, payload_))) {}

std::shared_ptr<const std::string> SharedMessage::frame_for(const Compression& compression) const {
  if (!compression.agreed || payload_.size() < compress_from) return plain_;
  if (compression.server_keeps) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const auto& [window, frame] : compressed_) {
    if (window == compression.server_window) return frame;
  }
  auto frame = std::make_shared<const std::string>(
      make_frame(opcode_, compress_alone(payload_, compression.server_window), true));
  compressed_.emplace_back(compression.server_window, frame);
  return frame;
}

// ---------------------------------------------------------------------------- its life

Session::Session(std::shared_ptr<Exchange> exchange, const Rules& rules, Sessions& sessions)
    : exchange_(std::move(exchange)),
      rules_(rules),
      sessions_(sessions),
      reader_(rules.max_message, rules.compression),
      heard_at_(ticks(now())) {
  exchange_->messages = std::make_shared<MessageCounts>();
  if (rules.compression.agreed && rules.compression.server_keeps) {
    deflater_ = std::make_unique<Deflater>(rules.compression.server_window, true);
  }
}

Session::~Session() = default;

void Session::count_received() {
  ++exchange_->messages->received;
  sessions_.count_received();
}

void Session::count_sent() {
  ++exchange_->messages->sent;
  sessions_.count_sent();
}

void Session::begin(std::weak_ptr<Reader> reader) {
  evented_ = !reader.expired();
  news_ = std::move(reader);
  {
    const std::lock_guard lock(mutex_);
    settle_memory();
  }
  const bool pings = rules_.ping_interval.count() != 0;
  sessions_.add(shared_from_this(), pings ? now() + rules_.ping_interval : never);
  exchange_->watch(shared_from_this());
  tell_reader();
  on_change();
}

SteadyTime Session::look(SteadyTime now) {
  const SteadyTime heard_at{SteadyTime::duration(heard_at_.load(std::memory_order_relaxed))};
  enum class Due : std::uint8_t { nothing, ping, end, conclusion } due = Due::nothing;
  SteadyTime next = never;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::closed) return never;
    if (ending_) {
      next = ending_->answers_until;
      if (next <= now) due = Due::conclusion;
    } else if (state_ == State::closing) {
      next = closing_since_ + rules_.close_timeout;
      if (next <= now) due = Due::end;
    } else if (rules_.ping_interval.count() != 0) {
      if (pinged_ && heard_at >= pinged_at_) pinged_ = false;
      const bool limited = rules_.ping_timeout.count() != 0;
      // Whoever waits for the application cannot be heard, and is not to blame.
      if (pinged_ && limited && !paused_ && now - pinged_at_ >= rules_.ping_timeout) {
        due = Due::end;
      } else if (pinged_) {
        next = limited && !paused_ ? pinged_at_ + rules_.ping_timeout : now + rules_.ping_interval;
      } else if (now - heard_at >= rules_.ping_interval) {
        due = Due::ping;
        pinged_ = true;
        pinged_at_ = now;
        next = now + (limited ? std::min(rules_.ping_timeout, rules_.ping_interval)
                              : rules_.ping_interval);
      } else {
        next = heard_at + rules_.ping_interval;
      }
    }
  }
  if (due == Due::ping) push(make_frame(Opcode::ping, {}));
  if (due == Due::end) end({close_code::abnormal, "the client does not answer"}, End::abruptly);
  if (due == Due::conclusion) conclude();
  return due == Due::end || due == Due::conclusion ? never : next;
}

void Session::end_after_answers(Close why, bool is_fault) {
  const SteadyTime answers_until = now() + last_words;
  bool answers;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::closed) return;
    answers = state_ == State::open && (front_ < inbox_.size() || (is_fault && busy_));
    ending_ = {std::move(why), answers_until};
  }
  answers ? sessions_.look(*this, answers_until) : conclude();
}

// Section 5.5.1: the peer's close is returned, unless this side has said it first. Section 7.1.7:
// who breaks a rule is told which.
void Session::conclude() {
  std::optional<Ending> ending;
  {
    const std::lock_guard order(sending_);
    bool is_open;
    {
      const std::lock_guard lock(mutex_);
      ending.swap(ending_);
      is_open = state_ == State::open;
      if (ending && is_open) state_ = State::closing;
    }
    if (!ending) return;
    const bool is_said = is_open && ending->why.code != close_code::abnormal;
    if (is_said) push(make_close_frame(ending->why));
  }
  end(std::move(ending->why), End::gracefully);
}

// How it ends, and who is told. Only the first end counts.
void Session::end(Close why, End how) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::closed) return;
    state_ = State::closed;
    close_ = ending_ ? std::move(ending_->why) : std::move(why);
  }
  if (how == End::gracefully) exchange_->push({}, rules_.max_queue, true);
  if (how == End::abruptly) exchange_->abort();
  exchange_->close_input();
  exchange_->unwatch(*this);
  sessions_.remove(*this);
  changed_.notify_all();
  tell_reader();
}

// ---------------------------------------------------------------------------- what comes

void Session::on_change() {
  if (changes_.fetch_add(1, std::memory_order_acq_rel) != 0) return;  // who pumps goes round again
  for (std::uint32_t seen = 1; seen != 0;) {
    pump();
    seen = changes_.fetch_sub(seen, std::memory_order_acq_rel) - seen;
  }
}

bool Session::inbox_is_full() const {
  return octets_ >= inbox_octets || inbox_.size() - front_ >= inbox_messages;
}

bool Session::reads_on() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::closed) return false;
  paused_ = state_ == State::open && inbox_is_full();
  return (!paused_ && !ending_) || exchange_->cut();
}

// As pump(), for what would else be copied to be read by it.
std::size_t Session::take(std::string_view bytes) {
  if (changes_.fetch_add(1, std::memory_order_acq_rel) != 0) return 0;
  std::string_view left = bytes;
  try {
    while (!left.empty() && rest_.empty() && reads_on()) read(left);
    settle_reading();
  } catch (const std::bad_alloc&) {
    end({close_code::abnormal, {}}, End::abruptly);
  }
  for (std::uint32_t seen = 1;
       (seen = changes_.fetch_sub(seen, std::memory_order_acq_rel) - seen);) {
    pump();
  }
  return bytes.size() - left.size();
}

void Session::pump() {
  try {
    while (reads_on()) {
      if (rest_.empty() || exchange_->cut()) {
        switch (exchange_->read_body(rest_, at_once)) {
          case Exchange::Read::timed_out: return;
          case Exchange::Read::bytes: break;
          case Exchange::Read::end:
            return end_after_answers({close_code::abnormal, "the client has closed the connection"},
                                     false);
          case Exchange::Read::departed:
          case Exchange::Read::failed:
            return end({close_code::abnormal, std::string(describe(exchange_->departure()))},
                       End::gone);
        }
      }
      std::string_view left(rest_);
      read(left);
      if (left.empty()) {
        std::string().swap(rest_);
      } else {
        rest_.erase(0, rest_.size() - left.size());
      }
      settle_reading();
    }
  } catch (const std::bad_alloc&) {  // it is the client's loss, and not the process's
    end({close_code::abnormal, {}}, End::abruptly);  // nor for a reason
  }
}

void Session::settle_reading() {
  const std::lock_guard lock(mutex_);
  reading_ = reader_.memory() + rest_.capacity();
  settle_memory();
}

void Session::read(std::string_view& bytes) {
  heard_at_.store(ticks(now()), std::memory_order_relaxed);
  const auto fault = reader_.read(bytes, *this);
  if (fault || peers_close_) bytes = {};
  if (fault) end_after_answers(*fault, true);
  if (peers_close_) end_after_answers(*std::exchange(peers_close_, std::nullopt), false);
}

bool Session::on_message(Message message) {
  bool is_full;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::open) return true;  // nobody wants it any more
    octets_ += message.data.size();
    inbox_.push_back(std::move(message));
    is_full = inbox_is_full();
  }
  count_received();
  changed_.notify_all();  // some of those that wait do not wait for this
  tell_reader();
  return !is_full;
}

void Session::on_ping(std::string_view payload) {
  // Of many only the last has to be answered (section 5.5.3): one whose client takes nothing is
  // not.
  if (!is_closed() && await_room(at_once) == Sent::ok) push(make_frame(Opcode::pong, payload));
}

void Session::on_close(Close close) { peers_close_ = std::move(close); }

void Session::tell_reader() {
  std::shared_ptr<Reader> reader;
  {
    const std::lock_guard lock(mutex_);
    if (told_) return;
    reader = news_.lock();
    told_ = reader != nullptr;
  }
  if (reader) reader->on_news();
}

void Session::settle_memory() {
  const std::size_t holds = reading_ + octets_ + (deflater_ ? Deflater::memory : 0);
  if (holds / memory_step == held_ / memory_step) return;
  held_ = holds;
  exchange_->hold(holds);
}

Message Session::take_message() {
  Message message = std::move(inbox_[front_++]);
  octets_ -= message.data.size();
  if (front_ == inbox_.size()) {
    front_ = 0;
    inbox_.clear();
    if (inbox_.capacity() > kept_places) std::vector<Message>().swap(inbox_);
  } else if (front_ == inbox_messages) {
    inbox_.erase(inbox_.begin(), inbox_.begin() + static_cast<std::ptrdiff_t>(inbox_messages));
    front_ = 0;
  }
  settle_memory();
  return message;
}

Session::Received Session::receive(Message& out, std::optional<SteadyTime> until) {
  bool resume;
  {
    std::unique_lock lock(mutex_);
    busy_ = false;
    if (ending_ && front_ == inbox_.size()) {
      lock.unlock();
      conclude();
      lock.lock();
    }
    const auto ready = [this] { return has_news(); };
    if (!until) {
      changed_.wait(lock, ready);
    } else if (!(*until == at_once ? ready() : changed_.wait_until(lock, *until, ready))) {
      told_ = false;
      return Received::timed_out;
    }
    if (front_ == inbox_.size()) return Received::closed;
    out = take_message();
    busy_ = true;
    resume = paused_ && octets_ < inbox_octets / 2 && inbox_.size() - front_ < inbox_messages / 2;
    if (resume) {
      paused_ = false;
      heard_at_.store(ticks(now()), std::memory_order_relaxed);  // it could not be heard
    }
  }
  if (resume) on_change();
  return Received::message;
}

// ---------------------------------------------------------------------------- what goes

Session::Sent Session::push(Chunk chunk) {
  return exchange_->push(std::move(chunk), rules_.max_queue, false) == Exchange::Push::departed
             ? Sent::closed
             : Sent::ok;
}

Session::Sent Session::push(std::string frame) { return push(Chunk(std::move(frame))); }

Session::Sent Session::await_room(std::optional<SteadyTime> until) {
  switch (exchange_->wait_writable(until)) {
    case Exchange::Push::ok: return Sent::ok;
    case Exchange::Push::full: return Sent::full;
    case Exchange::Push::departed: break;
  }
  return Sent::closed;
}

// The client does not take what it is sent, and nobody waits for it.
Session::Sent Session::no_room() {
  end({close_code::try_again_later, "the client takes nothing"}, End::abruptly);
  return Sent::closed;
}

Session::Sent Session::room_now() {
  const auto room = await_room(at_once);
  return room == Sent::full && !rules_.waits ? no_room() : room;
}

bool Session::compresses(std::size_t size) const {
  return rules_.compression.agreed && size >= compress_from;
}

Session::Sent Session::send(Opcode opcode, std::string_view payload) {
  if (const auto room = room_now(); room != Sent::ok) return room;
  const bool compressed = compresses(payload.size());
  std::string frame;
  if (!compressed) {
    frame = make_frame(opcode, payload);
  } else if (!deflater_) {
    frame = make_frame(opcode, compress_alone(payload, rules_.compression.server_window), true);
  }
  const std::lock_guard order(sending_);
  if (!is_open()) return Sent::closed;
  if (compressed && deflater_) frame = make_frame(opcode, deflater_->compress(payload), true);
  count_sent();
  return push(std::move(frame));
}

Session::Sent Session::send_plain(Opcode opcode, Chunk payload) {
  if (const auto room = room_now(); room != Sent::ok) return room;
  const std::lock_guard order(sending_);
  if (!is_open()) return Sent::closed;
  count_sent();
  Chunk head(make_frame_head(opcode, payload.size(), false));
  const auto pushed = exchange_->push_both(std::move(head), std::move(payload), rules_.max_queue);
  return pushed == Exchange::Push::departed ? Sent::closed : Sent::ok;
}

Session::Sent Session::send(const SharedMessage& message) {
  const auto frame = message.frame_for(rules_.compression);
  if (!frame) {
    const auto sent = send(message.opcode(), message.payload());
    return sent == Sent::full ? no_room() : sent;
  }
  if (const auto room = await_room(at_once); room != Sent::ok) {
    return room == Sent::full ? no_room() : room;
  }
  const std::lock_guard order(sending_);
  if (!is_open()) return Sent::closed;
  count_sent();
  if (frame->size() < share_from) return push(*frame);
  using Shared = std::shared_ptr<const std::string>;
  return push(Chunk(BorrowedBytes(*frame, new Shared(frame),
                                  [](void* shared) { delete static_cast<Shared*>(shared); })));
}

Session::Sent Session::ping(std::string_view payload) {
  const std::lock_guard order(sending_);
  return is_open() ? push(make_frame(Opcode::ping, payload)) : Sent::closed;
}

void Session::close(const Close& why, bool forget) {
  {
    const std::lock_guard order(sending_);
    {
      const std::lock_guard lock(mutex_);
      if (state_ != State::open) return;
      state_ = State::closing;
      closing_since_ = now();
      close_ = why;
      if (forget) {
        std::vector<Message>().swap(inbox_);
        front_ = octets_ = 0;
        settle_memory();
      }
    }
    push(make_close_frame(why));
  }
  sessions_.look(*this, now() + rules_.close_timeout);
  conclude();   // what the peer has said before, if it has
  on_change();  // what waits to be read holds the peer's answer up
}

void Session::leave_to_user() {
  {
    const std::lock_guard lock(mutex_);
    left_to_user_ = true;
    if (!forsaken_) return;
  }
  close({close_code::normal, {}}, true);
}

void Session::forsake() {
  {
    const std::lock_guard lock(mutex_);
    forsaken_ = true;
    if (!left_to_user_) return;
  }
  close({close_code::normal, {}}, true);
}

bool Session::wait_closed(std::optional<SteadyTime> until) {
  std::unique_lock lock(mutex_);
  const auto closed = [this] { return state_ == State::closed; };
  if (until) return changed_.wait_until(lock, *until, closed);
  changed_.wait(lock, closed);
  return true;
}

bool Session::is_open() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::open;
}

bool Session::is_closed() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::closed;
}

Close Session::closed_by() const {
  const std::lock_guard lock(mutex_);
  return close_;
}

}  // namespace prowingen::websocket
