#include "wsgi/left_out_fields.h"

#include <string>

namespace prowingen::wsgi {

void LeftOutFields::note(ResponseField kind, std::string_view name, std::string_view value,
                         const Exchange& exchange) {
  const unsigned bit = 1U << static_cast<unsigned>(kind);
  if ((said_.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
  std::string line(name);
  line.append(": ").append(value);
  report_(Severity::warning,
          request_line(exchange) + ": header " + quoted(line) +
              " is left out: it is about the connection, which is the server's (PEP 3333, RFC 9110 "
              "7.6.1); this is said once for each such header");
}

}  // namespace prowingen::wsgi
