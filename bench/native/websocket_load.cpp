// Loads a server with WebSockets, from one thread.
//
//   websocket_load echo   --url ws://127.0.0.1:8000/echo --connections N --size S --seconds T
//   [--text] websocket_load idle   --url ... --connections N websocket_load listen --url ...
//   --connections N --messages M
//
// `echo`: a closed loop with one message in flight on each connection; the answer has to be of its
// kind and length, and to begin and end as it does. Its end waits for the answers that are due.
// `idle` prints how many are open, then, for each line of input, how many still are; ends at the
// end of input. Pings are answered meanwhile. `listen` asks each connection for an echo, so that it
// is known to have come in, and prints how many have. For a line of input it says "go" on the
// first, M times, each when all have got the answer, one message, to the one before.
//
// The results are one JSON object. `busy` is the share of a core that this program itself used:
// near 1 it, and not the server, is what was measured.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <iostream>
#include <stdexcept>

#include "websocket_client.h"

namespace websocket_load {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::size_t large_size = 4096;      // of a message: from here on copying is what costs
constexpr std::size_t opening_at_once = 128;  // fewer than any backlog holds
constexpr std::size_t connections_of_an_address = 16'000;
constexpr Seconds opening_time{60};
constexpr Seconds answer_time{30};

struct Options {
  std::string mode;
  Target target;
  std::size_t connections = 1;
  std::size_t size = 64;
  std::size_t messages = 1;
  double seconds = 1;
  bool text = false;
};

// The connections, and what polls them.
class Load {
 public:
  explicit Load(const Options& options) : options_(options), poller_(epoll_create1(EPOLL_CLOEXEC)) {
    if (poller_ < 0) throw std::runtime_error("epoll_create1 failed");
    for (std::size_t at = 0; at < options.connections; ++at) clients_.emplace_back(at);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    for (Client& client : clients_) client.send(Opcode::close, std::string_view("\x03\xe8", 2));
    close(poller_);
  }

  // Opens all of them, or as many as the server lets it in `opening_time`.
  void open(const OnMessage& on_message) {
    on_message_ = on_message;
    const Clock::time_point end = Clock::now() + std::chrono::ceil<Clock::duration>(opening_time);
    std::size_t begun = 0;
    while ((begun < clients_.size() || opening_ > 0) && Clock::now() < end) {
      for (; begun < clients_.size() && opening_ < opening_at_once; ++begun) {
        Client& client = clients_[begun];
        client.connect(options_.target,
                       static_cast<unsigned>(1 + begun / connections_of_an_address));
        if (client.state() == Client::State::closed) {
          failed(client);
          continue;
        }
        ++opening_;
        watch(client, EPOLL_CTL_ADD);
      }
      poll(end);
    }
  }

  // Reports what has happened, waiting for it until `end` at most.
  void poll(Clock::time_point end) {
    std::array<epoll_event, 256> events;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    const int count = epoll_wait(poller_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(std::clamp<long long>(left, 0, 1000)));
    for (int at = 0; at < count; ++at) {
      Client& client = *static_cast<Client*>(events[at].data.ptr);
      const Client::State state = client.state();
      const bool wrote = client.wants_to_write();
      client.ready(events[at].events, buffer_, on_message_);
      if (state < Client::State::open && client.state() >= Client::State::open) --opening_;
      open_ += (client.state() == Client::State::open) - (state == Client::State::open);
      if (client.state() == Client::State::closed) {
        failed(client);
      } else if (client.wants_to_write() != wrote) {
        watch(client, EPOLL_CTL_MOD);
      }
    }
  }

  // For what is sent outside of `on_message`: nothing, if the connection is not open.
  template <class Send>
  void to_open(Client& client, const Send& send) {
    if (client.state() != Client::State::open) return;
    send();
    if (client.state() == Client::State::closed) {
      --open_;
      failed(client);
    } else if (client.wants_to_write()) {
      watch(client, EPOLL_CTL_MOD);
    }
  }

  void fail(const char* why) {
    if (errors_++ == 0) std::cerr << why << '\n';
  }

  int count_open() const { return open_; }
  int descriptor() const { return poller_; }
  std::deque<Client>& clients() { return clients_; }
  std::size_t errors() const { return errors_; }

 private:
  void watch(Client& client, int operation) {
    epoll_event event{};
    event.events = client.wants_to_write() ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &client;
    epoll_ctl(poller_, operation, client.descriptor(), &event);
  }

  void failed(const Client& client) { fail(client.failure().c_str()); }

  const Options& options_;
  int poller_;
  std::deque<Client> clients_;  // in place: epoll has their addresses
  std::vector<char> buffer_ = std::vector<char>(buffer_size);
  OnMessage on_message_;
  std::size_t opening_ = 0;
  int open_ = 0;
  std::size_t errors_ = 0;
};

// Wall and own CPU time since it was made.
class Watch {
 public:
  double seconds() const { return Seconds(Clock::now() - start_).count(); }
  double busy() const { return (cpu() - cpu_) / seconds(); }

 private:
  static double cpu() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  Clock::time_point start_ = Clock::now();
  double cpu_ = cpu();
};

double microseconds_since(Clock::time_point start) {
  return Microseconds(Clock::now() - start).count();
}

// The smallest value that at least `share` of the values do not exceed; of none, 0.
double percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const auto place = values.begin() + std::max<std::ptrdiff_t>(std::lround(rank) - 1, 0);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

void print(std::vector<float>& latencies, const Watch& watch, std::size_t errors,
           const std::string& more = "") {
  std::printf(
      "{\"messages\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
      "\"errors\": %zu, \"busy\": %.3f%s}\n",
      latencies.size(), watch.seconds(), percentile(latencies, 0.50), percentile(latencies, 0.99),
      errors, watch.busy(), more.c_str());
  std::fflush(stdout);
}

// A message that is like no other: its number is how it begins and ends. ASCII, so that it may be
// text. Of its frame, which is made once, only these ends are written anew.
class Numbered {
 public:
  Numbered(std::size_t size, Opcode opcode)
      : frame_(masked_frame(opcode, std::string(size, '.'))), size_(size) {
    expected_.opcode = opcode;
    expected_.length = size;
  }

  // Returns the number that it has from now on.
  std::uint32_t next() {
    ++number_;
    write(number_, 0);
    if (size_ > edge_size) write(number_, std::max(edge_size, size_ - edge_size));
    return number_;
  }
  const std::string& frame() const { return frame_; }

  bool is(std::uint32_t number, const Message& found) {
    const std::size_t size = size_;
    if (found.opcode != expected_.opcode || found.length != size) return false;
    Edge digits{};
    fill(number, digits);
    for (std::size_t at = 0; at < std::min(size, edge_size); ++at)
      if (found.first[at] != digits[at]) return false;
    // The last octets, as far as they are none of the first.
    const std::size_t start = std::max(edge_size, size < edge_size ? size : size - edge_size);
    for (std::size_t at = start; at < size; ++at)
      if (found.last[at % edge_size] != digits[at - start]) return false;
    return true;
  }

 private:
  static void fill(std::uint32_t number, Edge& digits) {
    for (std::size_t at = 0; at < edge_size; ++at)
      digits[at] = static_cast<char>('a' + (number >> (4 * at) & 15));
  }
  // From an octet of the payload on, as far as there is one.
  void write(std::uint32_t number, std::size_t from) {
    Edge digits{};
    fill(number, digits);
    char* payload = frame_.data() + (frame_.size() - size_);
    for (std::size_t at = from; at < std::min(from + edge_size, size_); ++at)
      payload[at] = static_cast<char>(digits[at - from] ^ mask[at % mask.size()]);
  }

  std::string frame_;
  std::size_t size_;

  Message expected_;
  std::uint32_t number_ = 0;
};

int echo(const Options& options) {
  struct Flight {
    std::uint32_t number = 0;  // 0: none
    Clock::time_point since;
  };
  const Opcode opcode = options.text ? Opcode::text : Opcode::binary;
  Load load(options);
  Numbered message(options.size, opcode);
  std::vector<Flight> flights(options.connections);
  std::vector<float> latencies;
  latencies.reserve(1 << 20);
  Clock::time_point end;

  const auto send = [&](Client& client, Flight& flight, Clock::time_point now) {
    flight = {message.next(), now};
    client.write(message.frame());
  };
  load.open([&](Client& client, const Message& found) {
    Flight& flight = flights[client.index()];
    const Clock::time_point now = Clock::now();
    if (flight.number == 0 || !message.is(flight.number, found)) {
      load.fail("an answer that is not what was sent");
      return;
    }
    latencies.push_back(static_cast<float>(Microseconds(now - flight.since).count()));
    flight.number = 0;
    if (now < end) send(client, flight, now);
  });

  const Watch watch;
  end = Clock::now() + std::chrono::ceil<Clock::duration>(Seconds(options.seconds));
  for (Client& client : load.clients())
    load.to_open(client, [&] { send(client, flights[client.index()], Clock::now()); });
  while (Clock::now() < end) load.poll(end);
  const auto is_due = [&](const Client& client) {
    return client.state() == Client::State::open && flights[client.index()].number != 0;
  };
  const Clock::time_point last = end + std::chrono::ceil<Clock::duration>(answer_time);
  while (std::any_of(load.clients().begin(), load.clients().end(), is_due) && Clock::now() < last)
    load.poll(last);
  for (const Flight& flight : flights)
    if (flight.number != 0) load.fail("a message without an answer");
  print(latencies, watch, load.errors());
  return 0;
}

// Polls until there is a line of input; false at its end.
bool await_line(Load& load) {
  static std::string input;
  while (true) {
    const std::size_t end = input.find('\n');
    if (end != std::string::npos) {
      input.erase(0, end + 1);
      return true;
    }
    std::array<pollfd, 2> sources{{{STDIN_FILENO, POLLIN, 0}, {load.descriptor(), POLLIN, 0}}};
    ::poll(sources.data(), sources.size(), -1);
    if (sources[1].revents != 0) load.poll(Clock::now());
    if (sources[0].revents == 0) continue;
    std::array<char, 256> piece{};
    const ssize_t size = read(STDIN_FILENO, piece.data(), piece.size());
    if (size <= 0) return false;
    input.append(piece.data(), static_cast<std::size_t>(size));
  }
}

int idle(const Options& options) {
  Load load(options);
  load.open([](Client&, const Message&) {});
  do {
    std::cout << load.count_open() << std::endl;
  } while (await_line(load));
  return 0;
}

int listen(const Options& options) {
  Load load(options);
  int came = 0;
  std::vector<float> latencies;
  Clock::time_point trigger;
  double first = 0;
  double last = 0;
  load.open([&](Client&, const Message&) {
    last = microseconds_since(trigger);
    if (came++ == 0) first = last;
    latencies.push_back(static_cast<float>(last));
  });
  const auto await = [&](int expected) {
    const auto end = Clock::now() + std::chrono::ceil<Clock::duration>(answer_time);
    while (came < std::min(expected, load.count_open()) && Clock::now() < end) load.poll(end);
  };
  const int opened = load.count_open();
  Client& teller = load.clients().front();
  for (Client& client : load.clients())
    load.to_open(client, [&] { client.send(Opcode::text, "here"); });
  await(opened);
  std::cout << came << std::endl;

  while (await_line(load)) {
    latencies.clear();
    std::string times;
    std::string spreads;
    const Watch watch;
    for (std::size_t number = 0; number < options.messages; ++number) {
      came = 0;
      trigger = Clock::now();
      load.to_open(teller, [&] { teller.send(Opcode::text, "go"); });
      await(opened);
      for (; came < opened; ++came) load.fail("a message has not come");
      const char* comma = number == 0 ? "" : ", ";
      times += comma + std::to_string(last);
      spreads += comma + std::to_string(last - first);
    }
    print(latencies, watch, load.errors(),
          ", \"broadcast_us\": [" + times + "], \"spread_us\": [" + spreads + "]");
  }
  return 0;
}

template <class Number>
Number number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0))
    throw std::runtime_error(std::string(text) + ": must be a number above 0");
  return value;
}

Target parse_url(std::string_view url) {
  const auto refuse = [&] {
    return std::runtime_error(std::string(url) + ": must be ws://IPv4:port/path");
  };
  if (!url.starts_with("ws://")) throw refuse();
  url.remove_prefix(5);
  const std::size_t slash = std::min(url.find('/'), url.size());
  const std::size_t colon = url.substr(0, slash).find(':');
  if (colon == std::string_view::npos) throw refuse();
  Target target;
  target.host = url.substr(0, slash);
  if (slash < url.size()) target.path = url.substr(slash);
  target.address.sin_family = AF_INET;
  target.address.sin_port = htons(number<std::uint16_t>(url.substr(colon + 1, slash - colon - 1)));
  if (inet_pton(AF_INET, target.host.substr(0, colon).c_str(), &target.address.sin_addr) != 1)
    throw refuse();
  return target;
}

Options parse(int count, char** arguments) {
  Options options;
  if (count > 1) options.mode = arguments[1];
  for (int at = 2; at < count; ++at) {
    const std::string_view name = arguments[at];
    if (name == "--text") {
      options.text = true;
      continue;
    }
    if (at + 1 == count) throw std::runtime_error(std::string(name) + ": has no value");
    const std::string_view value = arguments[++at];
    if (name == "--url") {
      options.target = parse_url(value);
    } else if (name == "--connections") {
      options.connections = number<std::size_t>(value);
    } else if (name == "--size") {
      options.size = number<std::size_t>(value);
    } else if (name == "--messages") {
      options.messages = number<std::size_t>(value);
    } else if (name == "--seconds") {
      options.seconds = number<double>(value);
    } else {
      throw std::runtime_error(std::string(name) + ": no such option");
    }
  }
  if (options.size > large_size) options.target.read_size = 64;
  if (options.target.host.empty()) throw std::runtime_error("--url: is missing");
  return options;
}

void raise_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(const Options& options) {
  if (options.mode == "echo") return echo(options);
  if (options.mode == "idle") return idle(options);
  if (options.mode == "listen") return listen(options);
  throw std::runtime_error("the first argument must be echo, idle or listen");
}

}  // namespace
}  // namespace websocket_load

int main(int count, char** arguments) {
  try {
    websocket_load::raise_open_files();
    return websocket_load::run(websocket_load::parse(count, arguments));
  } catch (const std::exception& error) {
    std::cerr << "websocket_load: " << error.what() << '\n';
    return 2;
  }
}
