#include "access_log/exchange.h"

#include <chrono>

#include "access_log/access_log.h"
#include "core/engine.h"
#include "metrics/count_exchange.h"

namespace prowingen {

void log_exchange(const EngineContext& context, const ServedExchange& exchange, int status,
                  bool complete, std::uint64_t connection_requests) {
  AccessLog* const access_log = context.access_log;
  if ((access_log == nullptr && context.tally == nullptr) || exchange.is_probe) return;
  const auto now = std::chrono::steady_clock::now();
  if (context.tally != nullptr) {
    metrics::count_exchange(*context.tally, exchange, status, complete, now);
    if (context.activity != nullptr) {
      metrics::note_slow_exchange(*context.activity, exchange, status, complete, now);
    }
  }
  if (access_log == nullptr) return;
  AccessRecord record;
  record.request = exchange.request.method().empty() ? nullptr : &exchange.request;
  record.remote_address = exchange.peer->remote_address;
  record.remote_port = exchange.peer->remote_port;
  record.status = status;
  record.response = exchange.head_written ? &exchange.sent_head() : nullptr;
  record.body_bytes_sent = exchange.body_bytes_out;
  record.bytes_sent = exchange.bytes_out;
  record.bytes_received = exchange.bytes_in;
  record.total_time = now - exchange.received_at;
  record.received =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(record.total_time);
  if (exchange.head_written) {
    record.queue_time = exchange.taken_at - exchange.queued_at;
    record.app_time = exchange.finished_at - exchange.taken_at;
  }
  record.scheme = exchange.peer->scheme;
  if (const TlsFacts* tls = exchange.peer->tls.get()) {
    record.tls_protocol = tls->protocol;
    record.tls_cipher = tls->cipher;
    record.tls_server_name = tls->server_name;
  }
  record.stream = exchange.stream_id;
  // Whose worker may be about to set them, and to answer otherwise after all.
  const bool switched = exchange.head_written && exchange.framing == ResponseFraming::opaque;
  if (const auto* messages = switched ? exchange.messages.get() : nullptr) {
    record.messages_received = messages->received;
    record.messages_sent = messages->sent;
  }
  record.complete = complete;
  record.connection_requests = connection_requests;
  access_log->write(record);
}

}  // namespace prowingen
