#include "admin/event_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>

#include "access_log/escape.h"
#include "processes/scoreboard.h"
#include "processes/tally.h"

namespace prowingen::admin {
namespace {

constexpr double nanosecond = 1e-9;

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// One event, whose data is an object of JSON on one line.
class Event {
 public:
  explicit Event(std::string_view name) { out_.append("event: ").append(name).append("\ndata: {"); }
  std::string end() {
    out_.append("}\n\n");
    return std::move(out_);
  }

  void member(std::string_view name, std::string_view text) {
    key(name);
    append_json_string(text, out_);
  }
  void member(std::string_view name, bool yes) {
    key(name);
    out_.append(yes ? "true" : "false");
  }
  void member(std::string_view name, std::unsigned_integral auto count) {
    key(name);
    out_.append(std::to_string(count));
  }
  // In microseconds as far as the client is concerned: more digits are noise.
  void member(std::string_view name, double value) {
    key(name);
    number(value, std::chars_format::fixed, 6);
  }
  void none(std::string_view name) {
    key(name);
    out_.append("null");
  }
  template <typename Fill>
  void object(std::string_view name, Fill fill) {
    key(name);
    braced(fill);
  }
  template <typename Fill>
  void objects(std::string_view name, const auto& items, Fill fill) {
    key(name);
    out_.push_back('[');
    for (const auto& item : items) {
      separate();
      braced([&] { fill(item); });
    }
    out_.push_back(']');
  }
  /// `write`: of one item, alone.
  template <typename Write>
  void list(std::string_view name, std::size_t count, Write write) {
    key(name);
    out_.push_back('[');
    for (std::size_t i = 0; i < count; ++i) {
      separate();
      write(i);
    }
    out_.push_back(']');
  }
  void item(std::uint64_t count) { out_.append(std::to_string(count)); }
  void item(double value) {
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out_.append(digits.data(), end.ptr);
  }

 private:
  // What follows is the first in its braces, or stands behind a comma.
  void separate() {
    if (out_.back() != '{' && out_.back() != '[') out_.push_back(',');
  }
  void key(std::string_view name) {
    separate();
    append_json_string(name, out_);
    out_.push_back(':');
  }
  template <typename Fill>
  void braced(Fill fill) {
    out_.push_back('{');
    fill();
    out_.push_back('}');
  }
  void number(double value, std::chars_format format, int precision) {
    std::array<char, 64> digits{};
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), value, format, precision);
    out_.append(digits.data(), end.ptr);
  }

  std::string out_;
};

// ---------------------------------------------------------------------------- figures

class Figures {
 public:
  Figures(const metrics::Picture& picture, SteadyTime now)
      : picture_(picture), sum_(picture.sum), now_(now) {}

  std::string write(std::string_view ready) {
    event_.member("at", seconds(now_.time_since_epoch()));
    event_.member("ready", ready);
    event_.member("wanted", picture_.wanted);
    event_.object("requests", [&] { requests(); });
    event_.object("refusals", [&] { refusals(); });
    event_.object("rejections", [&] { rejections(); });
    named("cut", counted_causes, cells::causes_at);
    histogram("duration", cells::duration);
    histogram("queue_wait", cells::queue_wait);
    histogram("application", cells::application);
    histogram("gil_wait", cells::gil_wait);
    event_.object("cpu", [&] {
      event_.member("application", cpu(Carried::application_cpu_ns));
      event_.member("user", cpu(Carried::user_cpu_ns));
      event_.member("system", cpu(Carried::system_cpu_ns));
    });
    event_.object("bytes", [&] {
      event_.member("received", sum_[cells::bytes_received]);
      event_.member("sent", sum_[cells::bytes_sent]);
    });
    event_.object("tls", [&] {
      event_.member("handshakes", carried(Carried::tls_handshakes));
      event_.member("failed", carried(Carried::tls_failures));
    });
    named("worker_ends", worker_ends, cells::ends_at);
    std::size_t at = 0;
    event_.objects("workers", picture_.workers, [&](const metrics::Picture::Worker& each) {
      worker(*each.slot);
      static const std::vector<Activity::Row> nothing;
      doing(at < picture_.doing.size() ? picture_.doing[at] : nothing);
      ++at;
    });
    return event_.end();
  }

 private:
  std::uint64_t carried(Carried figure) const { return sum_[cells::carried(figure)]; }
  double cpu(Carried figure) const { return static_cast<double>(carried(figure)) * nanosecond; }

  void some(std::string_view name, std::uint64_t count) {
    if (count != 0) event_.member(name, count);
  }

  template <typename Names>
  void named(std::string_view name, const Names& names, std::size_t first_cell) {
    event_.object(name, [&] {
      for (std::size_t i = 0; i < names.size(); ++i) some(names[i], sum_[first_cell + i]);
    });
  }

  void requests() {
    std::array<std::uint64_t, counted_methods.size()> methods{};
    std::array<std::uint64_t, counted_protocols.size()> protocols{};
    std::array<std::uint64_t, counted_statuses.size()> statuses{};
    for (std::size_t method = 0; method < methods.size(); ++method) {
      for (std::size_t protocol = 0; protocol < protocols.size(); ++protocol) {
        for (std::size_t status = 0; status < statuses.size(); ++status) {
          const auto count = sum_[cells::request(method, protocol, status)];
          methods[method] += count;
          protocols[protocol] += count;
          statuses[status] += count;
        }
      }
    }
    const auto tell = [&](std::string_view name, const auto& names, const auto& counts) {
      event_.object(name, [&] {
        for (std::size_t i = 0; i < names.size(); ++i) some(names[i], counts[i]);
      });
    };
    tell("methods", counted_methods, methods);
    tell("protocols", counted_protocols, protocols);
    tell("statuses", counted_statuses, statuses);
  }

  void refusals() {
    for (int status = cells::first_status; status <= cells::last_status; ++status) {
      some(std::to_string(status), sum_[cells::refusal(status)]);
    }
  }

  void rejections() {
    event_.member("queue_full", carried(Carried::requests_rejected));
    event_.member("queue_timeout", carried(Carried::requests_expired));
    event_.member("queue_target", carried(Carried::requests_shed));
    event_.member("rate_limit", carried(Carried::requests_over_rate));
    event_.member("request_timeout", carried(Carried::requests_overdue));
  }

  void histogram(std::string_view name, const cells::Histogram& histogram) {
    event_.object(name, [&] {
      event_.list("counts", histogram.bounds.size() + 1,
                  [&](std::size_t i) { event_.item(sum_[histogram.first + i]); });
      event_.member("sum", static_cast<double>(sum_[histogram.sum()]) * nanosecond);
    });
  }

  void worker(const Scoreboard::Slot& slot) {
    const auto running = slot.get(Score::workers_running);
    const auto waiting = slot.get(Score::workers_waiting);
    const auto away = slot.get(Score::workers_away);
    const auto standing_by = slot.get(Score::workers_standing_by);
    const auto members = slot.get(Score::workers);
    const auto in_seconds = [&](Score score) {
      return static_cast<double>(slot.get(score)) * nanosecond;
    };
    event_.member("worker", slot.get(Score::pid));
    event_.member("rss", slot.get(Score::rss_bytes));
    event_.member("queue", slot.get(Score::queue_length));
    event_.member("oldest", in_seconds(Score::waiting_ns));
    event_.member("stalled", in_seconds(Score::stalled_ns));
    event_.member("in_flight", slot.get(Score::queue_length) + running + waiting + away);
    event_.object("connections", [&] {
      event_.member("open", slot.get(Score::connections_open));
      event_.member("http1", slot.get(Score::connections_http1));
      event_.member("http2", slot.get(Score::connections_http2));
      event_.member("http3", slot.get(Score::connections_http3));
      event_.member("websockets", slot.get(Score::websockets_open));
    });
    event_.object("threads", [&] {
      // A reader may see one figure newer than the next.
      event_.member("idle", members - std::min(members, running + waiting + standing_by));
      event_.member("waiting_for_gil", standing_by);
      event_.member("running", running);
      event_.member("waiting_for_client", waiting);
      event_.member("long_lived", away);
      event_.member("stuck", slot.get(Score::workers_stuck));
    });
  }

  void doing(const std::vector<Activity::Row>& rows) {
    event_.objects("doing", rows, [&](const Activity::Row& row) {
      event_.member("ident", row.thread);
      event_.member("state", worker_state_names[static_cast<std::size_t>(row.state)]);
      event_.member("request", row.request);
      event_.member("seconds", seconds(now_ - row.since));
      row.deadline ? event_.member("deadline", seconds(*row.deadline - now_))
                   : event_.none("deadline");
    });
  }

  Event event_{"figures"};
  const metrics::Picture& picture_;
  const Tally::Sum& sum_;
  const SteadyTime now_;
};

void bounds(Event& event, std::string_view name, cells::Bounds bounds) {
  event.list(name, bounds.size(), [&](std::size_t i) { event.item(seconds(bounds[i])); });
}

}  // namespace

std::string server_event(const ServerFacts& facts) {
  Event event("server");
  event.member("version", std::string_view(PROWINGEN_VERSION));
  event.member("engine", facts.engine);
  event.member("threads", facts.threads);
  event.member("controls", facts.controls);
  event.object("bounds", [&] {
    bounds(event, "requests", cells::bounds::requests);
    bounds(event, "waits", cells::bounds::waits);
  });
  return "retry: 1000\n\n" + event.end();
}

std::string figures_event(const metrics::Picture& picture, SteadyTime now, std::string_view ready) {
  return Figures(picture, now).write(ready);
}

std::string slowest_event(std::span<const Activity::Slow> slowest, SteadyTime now) {
  Event event("slowest");
  event.objects("requests", slowest, [&](const Activity::Slow& slow) {
    event.member("ago", seconds(now - slow.ended));
    event.member("worker", slow.worker);
    event.member("request", slow.request);
    event.member("status", static_cast<unsigned>(slow.status));
    event.member("seconds", seconds(slow.took));
    event.member("queued", seconds(slow.queued));
    event.member("complete", slow.complete);
  });
  return event.end();
}

}  // namespace prowingen::admin
