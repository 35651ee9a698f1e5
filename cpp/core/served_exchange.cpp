#include "core/served_exchange.h"

#include <chrono>

#include "core/access_log.h"

namespace prowingen {

void ServedExchange::renew() {
  recycle();
  keep_alive = true;
  submitted = head_written = false;
  framing = ResponseFraming::none;
  bytes_in = bytes_out = body_bytes_out = 0;
}

void ServedExchange::log(AccessLog* access_log, int status, bool complete,
                         std::uint64_t connection_requests) const {
  if (access_log == nullptr) return;
  AccessRecord record;
  record.request = request.method().empty() ? nullptr : &request;
  record.remote_address = peer->remote_address;
  record.remote_port = peer->remote_port;
  record.status = status;
  record.response = head_written ? &response : nullptr;
  record.body_bytes_sent = body_bytes_out;
  record.bytes_sent = bytes_out;
  record.bytes_received = bytes_in;
  record.total_time = std::chrono::steady_clock::now() - received_at;
  record.received =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(record.total_time);
  if (head_written) {
    record.queue_time = taken_at - queued_at;
    record.app_time = finished_at - taken_at;
  }
  record.scheme = peer->scheme;
  record.complete = complete;
  record.connection_requests = connection_requests;
  access_log->write(record);
}

}  // namespace prowingen
