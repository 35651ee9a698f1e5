#include "metrics/families.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <utility>

namespace prowingen::metrics {
namespace {

constexpr double nanosecond = 1e-9;

// One family after another, as a page has them.
class Page {
 public:
  Page(Writer& text, const Picture& picture) : text_(text), picture_(picture), sum_(picture.sum) {}

  void write() {
    server();
    requests();
    times();
    queue();
    threads();
    connections();
    memory();
    others();
  }

 private:
  using Scores = std::initializer_list<std::pair<std::string_view, Score>>;

  void begin(std::string_view name, Kind kind, std::string_view help, std::string_view unit = "") {
    text_.begin({name, kind, unit, help});
  }

  std::uint64_t carried(Carried figure) const { return sum_[cells::carried(figure)]; }

  void counter(std::string_view name, std::string_view help, std::uint64_t value,
               std::string_view unit = "") {
    begin(name, Kind::counter, help, unit);
    text_.sample({}, value);
  }

  // Each kind of it is there from the beginning, so that a first one is an increase.
  template <typename Names>
  void counter_by(std::string_view name, std::string_view help, std::string_view label,
                  const Names& names, std::size_t first_cell) {
    begin(name, Kind::counter, help);
    for (std::size_t i = 0; i < names.size(); ++i) {
      text_.sample({{label, names[i]}}, sum_[first_cell + i]);
    }
  }

  void carried_by(std::string_view name, std::string_view help, std::string_view label,
                  std::initializer_list<std::pair<std::string_view, Carried>> kinds) {
    begin(name, Kind::counter, help);
    for (const auto& [kind, figure] : kinds) text_.sample({{label, kind}}, carried(figure));
  }

  // Of codes those that there were: there are five hundred.
  void by_code(std::string_view name, std::string_view help, std::size_t first_cell) {
    begin(name, Kind::counter, help);
    for (int status = cells::first_status; status <= cells::last_status; ++status) {
      const auto count = sum_[first_cell + static_cast<std::size_t>(status - cells::first_status)];
      if (count != 0) text_.sample({{"code", std::to_string(status)}}, count);
    }
  }

  template <typename Value>
  void gauge(std::string_view name, std::string_view help, Value value,
             std::string_view unit = "") {
    begin(name, Kind::gauge, help, unit);
    for (const auto& [place, slot] : picture_.workers) {
      text_.sample({{"worker", std::to_string(slot->get(Score::pid))}}, value(*slot));
    }
  }

  void gauge_of(std::string_view name, std::string_view help, Score score,
                std::string_view unit = "") {
    gauge(
        name, help, [score](const Scoreboard::Slot& slot) { return slot.get(score); }, unit);
  }

  void seconds_of(std::string_view name, std::string_view help, Score score) {
    const auto value = [score](const Scoreboard::Slot& slot) {
      return static_cast<double>(slot.get(score)) * nanosecond;
    };
    gauge(name, help, value, "seconds");
  }

  void histogram(std::string_view name, std::string_view help, const cells::Histogram& histogram) {
    begin(name, Kind::histogram, help, "seconds");
    text_.histogram(histogram, sum_);
  }

  double cpu_seconds(Carried figure) const {
    return static_cast<double>(carried(figure)) * nanosecond;
  }

  void server() {
    begin("prowingen_build_info", Kind::info, "Version and engine of the server.");
    text_.sample({{"version", PROWINGEN_VERSION}, {"engine", picture_.engine}}, std::uint64_t{1});
    begin("prowingen_workers", Kind::gauge, "Processes that take connections.");
    text_.sample({}, static_cast<std::uint64_t>(
                         std::ranges::count_if(picture_.workers, [](const Picture::Worker& worker) {
                           return worker.slot->get(Score::accepting) != 0;
                         })));
    begin("prowingen_workers_wanted", Kind::gauge, "Processes that there should be.");
    text_.sample({}, picture_.wanted);
    counter_by("prowingen_worker_ends_total",
               "Processes that have ended while the server went on, by cause.", "cause",
               worker_ends, cells::ends_at);
  }

  void requests() {
    begin("prowingen_requests_total", Kind::counter,
          "Requests that are over, by method, version of HTTP and class of the answer's status.");
    for (std::size_t method = 0; method < counted_methods.size(); ++method) {
      for (std::size_t protocol = 0; protocol < counted_protocols.size(); ++protocol) {
        for (std::size_t status = 0; status < counted_statuses.size(); ++status) {
          const auto count = sum_[cells::request(method, protocol, status)];
          if (count == 0) continue;
          text_.sample({{"method", counted_methods[method]},
                        {"protocol", counted_protocols[protocol]},
                        {"status", counted_statuses[status]}},
                       count);
        }
      }
    }
    by_code("prowingen_responses_total", "Answers, by status code.", cells::responses_at);
    by_code("prowingen_refusals_total",
            "Answers that the server gave to requests that it refused, by status code.",
            cells::refusals_at);
    counter_by("prowingen_requests_cut_total",
               "Requests whose answer was not sent whole, by cause.", "cause", counted_causes,
               cells::causes_at);
    const auto in_flight = [](const Scoreboard::Slot& slot) {
      return slot.get(Score::queue_length) + slot.get(Score::workers_running) +
             slot.get(Score::workers_waiting) + slot.get(Score::workers_away);
    };
    gauge("prowingen_requests_in_flight",
          "Requests that wait for a worker thread, or are with one.", in_flight);
    counter("prowingen_received_bytes_total", "Bytes of requests, as they came.",
            sum_[cells::bytes_received], "bytes");
    counter("prowingen_sent_bytes_total", "Bytes of answers, as they were sent.",
            sum_[cells::bytes_sent], "bytes");
  }

  void times() {
    histogram("prowingen_request_duration_seconds",
              "Time from a request's first byte until the last one of its answer was sent.",
              cells::duration);
    histogram("prowingen_queue_wait_seconds", "Time that requests waited for a worker thread.",
              cells::queue_wait);
    histogram("prowingen_application_duration_seconds",
              "Time from when a worker thread took a request until its answer was made.",
              cells::application);
    histogram("prowingen_gil_wait_seconds",
              "Time that worker threads waited for the GIL: woken for a request, or after a wait "
              "for a client.",
              cells::gil_wait);
    counter_cpu();
  }

  void counter_cpu() {
    begin("prowingen_cpu_seconds_total", Kind::counter,
          "CPU time of the processes that serve, by mode.", "seconds");
    text_.sample({{"mode", "user"}}, cpu_seconds(Carried::user_cpu_ns));
    text_.sample({{"mode", "system"}}, cpu_seconds(Carried::system_cpu_ns));
    begin("prowingen_application_cpu_seconds_total", Kind::counter,
          "CPU time of the worker threads, which run the application.", "seconds");
    text_.sample({}, cpu_seconds(Carried::application_cpu_ns));
  }

  void queue() {
    gauge_of("prowingen_queue_length", "Requests that wait for a worker thread.",
             Score::queue_length);
    seconds_of("prowingen_queue_oldest_seconds",
               "For how long the request that has waited for longest has waited.",
               Score::waiting_ns);
    seconds_of("prowingen_stalled_seconds",
               "For how long all worker threads have been stuck; 0 while they are not.",
               Score::stalled_ns);
    carried_by("prowingen_queue_rejections_total",
               "Requests that were answered 503 without a worker thread, by cause.", "cause",
               {{"queue_full", Carried::requests_rejected},
                {"queue_timeout", Carried::requests_expired},
                {"queue_target", Carried::requests_shed}});
    counter("prowingen_requests_overdue_total",
            "Requests that a worker thread did not answer within request_timeout.",
            carried(Carried::requests_overdue));
    counter("prowingen_requests_over_rate_total",
            "Requests that were answered 429, as their client sent more than rate_limit.",
            carried(Carried::requests_over_rate));
  }

  void threads() {
    begin("prowingen_threads", Kind::gauge, "Worker threads, by what they do.");
    for (const auto& [place, slot] : picture_.workers) {
      const std::string worker = std::to_string(slot->get(Score::pid));
      const auto busy = slot->get(Score::workers_running) + slot->get(Score::workers_waiting) +
                        slot->get(Score::workers_standing_by);
      // A reader may see one figure newer than the next.
      const auto idle = slot->get(Score::workers) - std::min(slot->get(Score::workers), busy);
      const auto sample = [&](std::string_view state, std::uint64_t count) {
        text_.sample({{"worker", worker}, {"state", state}}, count);
      };
      sample("idle", idle);
      sample("waiting_for_gil", slot->get(Score::workers_standing_by));
      sample("running", slot->get(Score::workers_running));
      sample("waiting_for_client", slot->get(Score::workers_waiting));
      sample("long_lived", slot->get(Score::workers_away));
      sample("stuck", slot->get(Score::workers_stuck));
    }
  }

  void connections() {
    counter("prowingen_connections_accepted_total", "Connections that were accepted.",
            carried(Carried::connections_accepted));
    begin("prowingen_connections_open", Kind::gauge,
          "Connections that are open, by version of HTTP.");
    for (const auto& [place, slot] : picture_.workers) {
      const std::string worker = std::to_string(slot->get(Score::pid));
      const auto known = slot->get(Score::connections_http1) + slot->get(Score::connections_http2) +
                         slot->get(Score::connections_http3);
      const auto sample = [&](std::string_view protocol, std::uint64_t count) {
        text_.sample({{"worker", worker}, {"protocol", protocol}}, count);
      };
      sample("HTTP/1", slot->get(Score::connections_http1));
      sample("HTTP/2", slot->get(Score::connections_http2));
      sample("HTTP/3", slot->get(Score::connections_http3));
      // A reader may see one figure newer than the next.
      const auto open = slot->get(Score::connections_open);
      sample("unknown", open - std::min(open, known));
    }
    carried_by("prowingen_tls_handshakes_total", "TLS handshakes that are over, by result.",
               "result",
               {{"completed", Carried::tls_handshakes}, {"failed", Carried::tls_failures}});
    counter("prowingen_protocol_errors_total",
            "Connections of HTTP/2 and 3 that broke the protocol, or flooded the server.",
            carried(Carried::protocol_errors));
  }

  void memory() {
    gauge_of("prowingen_resident_memory_bytes", "Resident memory of the process.", Score::rss_bytes,
             "bytes");
    gauge_of("prowingen_memory_budget_bytes",
             "What unfinished requests and unread answers may hold.", Score::memory_budget,
             "bytes");
    gauge_of("prowingen_memory_used_bytes", "What they hold of it.", Score::memory_used, "bytes");
    counter("prowingen_memory_shortages_total", "Times that the budget was exhausted.",
            carried(Carried::memory_shortages));
    counter("prowingen_memory_cut_total", "Requests and answers that were given up for that.",
            carried(Carried::memory_cut));
    counter("prowingen_bodies_spooled_total", "Request bodies that were put into files.",
            carried(Carried::bodies_spooled));
    gauge_of("prowingen_spooled_bytes", "Bytes in these files.", Score::spooled_bytes, "bytes");
  }

  void others() {
    gauge_of("prowingen_websockets_open", "WebSockets that are open.", Score::websockets_open);
    counter("prowingen_websockets_accepted_total", "WebSockets that were accepted.",
            carried(Carried::websockets_accepted));
    carried_by("prowingen_websocket_messages_total", "Messages of WebSockets, by direction.",
               "direction",
               {{"received", Carried::websocket_messages_received},
                {"sent", Carried::websocket_messages_sent}});
    counter("prowingen_static_files_total", "Requests that were answered with static files.",
            carried(Carried::static_files_answered));
    carried_by("prowingen_response_cache_lookups_total",
               "Requests that the response cache was asked for, by result.", "result",
               {{"hit", Carried::cache_hits},
                {"stale_hit", Carried::cache_stale_hits},
                {"miss", Carried::cache_misses}});
    counter("prowingen_response_cache_stored_total", "Answers that the cache took.",
            carried(Carried::cache_stored));
    counter("prowingen_response_cache_evicted_total", "Answers that it dropped for others.",
            carried(Carried::cache_evicted));
    gauge_of("prowingen_response_cache_bytes", "Memory of the answers in it.", Score::cache_bytes,
             "bytes");
    gauge_of("prowingen_response_cache_entries", "Answers in it.", Score::cache_entries);
    counter("prowingen_access_log_lines_lost_total",
            "Lines of the access log that were dropped, as nobody took them in time.",
            carried(Carried::log_lines_lost));
  }

  Writer& text_;
  const Picture& picture_;
  const Tally::Sum& sum_;
};

}  // namespace

void write(Writer& writer, const Picture& picture) { Page(writer, picture).write(); }

std::string render(Form form, const Picture& picture) {
  Text text(form);
  write(text, picture);
  return text.end();
}

}  // namespace prowingen::metrics
