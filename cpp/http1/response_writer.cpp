#include "http1/response_writer.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "http/date.h"

namespace prowingen::http1 {
namespace {

template <class Integer>
void append_number(std::string& out, Integer value, int base = 10) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  out.append(digits.data(), end);
}

void append_status_line(std::string& out, int status, std::string_view reason) {
  if (status == 200 && reason == "OK") {
    out.append("HTTP/1.1 200 OK\r\n");
    return;
  }
  out.append("HTTP/1.1 ");
  append_number(out, status);
  out.push_back(' ');
  out.append(reason).append("\r\n");
}

}  // namespace

void StandingFields::refresh() {
  const auto now = std::time(nullptr);
  if (now == second_) return;
  second_ = now;
  if (server_line_.empty() && !server_.empty()) server_line_ = "Server: " + server_ + "\r\n";
  if (!with_date_) return;
  date_line_ = "Date: " + http_date(now) + "\r\n";
}

void write_head(const Exchange& exchange, ResponseFraming framing, bool keep_alive,
                const StandingFields& standing, std::string& out) {
  const ResponseHead& head = exchange.sent_head();
  append_status_line(out, head.status, head.reason);
  out.append(head.wire());
  if (!head.has_date) out.append(standing.date_line());
  if (!head.has_server) out.append(standing.server_line());
  out.append(standing.alternative_line(exchange.listener));
  if (framing == ResponseFraming::chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (exchange.sent_body().add_length_field) {
    out.append("Content-Length: ");
    append_number(out, exchange.sent_body().length);
    out.append("\r\n");
  }
  if (framing == ResponseFraming::opaque) {
    // It is neither closed nor kept for HTTP; its fields say what becomes of it.
  } else if (!keep_alive) {
    out.append("Connection: close\r\n");
  } else if (exchange.request.version == HttpVersion{1, 0}) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

void write_chunk_header(std::uint64_t size, std::string& out) {
  append_number(out, size, 16);
  out.append("\r\n");
}

void write_last_chunk(const FieldSection* trailers, std::string& out) {
  out.append("0\r\n");
  if (trailers != nullptr) out.append(trailers->wire());
  out.append("\r\n");
}

void write_interim(const ResponseHead& head, std::string& out) {
  append_status_line(out, head.status, head.reason);
  out.append(head.wire()).append("\r\n");
}

void write_refusal(const Refusal& refusal, bool with_body, std::string_view extra_field,
                   const StandingFields& standing, std::string& out) {
  const std::string page = refusal_page(refusal);
  append_status_line(out, refusal.status, refusal.title);
  out.append(standing.date_line()).append(standing.server_line()).append(extra_field);
  out.append("Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
  append_number(out, page.size());
  out.append("\r\nConnection: close\r\n\r\n");
  if (with_body) out.append(page);
}

void refuse_plain_http(int socket, const StandingFields& standing) {
  std::string answer;
  write_refusal(refusal(RequestFault::plain_http), true, "", standing, answer);
#if defined(MSG_NOSIGNAL)
  ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
#else
  ::send(socket, answer.data(), answer.size(), 0);
#endif
  ::shutdown(socket, SHUT_WR);
}

bool discard_some(int socket, std::uint64_t& left) {
  std::array<char, 16 * 1024> unread;
  const auto size = ::recv(socket, unread.data(), unread.size(), MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  left -= std::min(left, static_cast<std::uint64_t>(size));
  return size != 0 && left != 0;
}

}  // namespace prowingen::http1
