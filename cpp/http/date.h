// Dates as HTTP writes them: RFC 9110 section 5.6.7.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace prowingen {

/// IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT". In English wherever the server runs.
std::string http_date(std::time_t time);

/// Any of the three forms that a recipient has to take; nothing if it is none.
std::optional<std::time_t> parse_http_date(std::string_view text);

}  // namespace prowingen
