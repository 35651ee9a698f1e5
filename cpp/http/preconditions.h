// Conditional requests: RFC 9110 section 13.
#pragma once

#include <cstdint>
#include <ctime>
#include <string_view>

#include "http/message.h"

namespace prowingen {

/// What a representation is known by.
struct Validators {
  std::string_view entity_tag;  // in its quotes, with W/ in front if it is weak
  std::time_t modified = 0;
};

enum class Precondition : std::uint8_t {
  met,           // or none
  not_modified,  // 304
  failed         // 412
};

/// Of GET and HEAD, in the order of section 13.2.2. A field that is malformed is ignored.
Precondition check_preconditions(const RequestHead& request, const Validators& current);

/// Whether ranges may be taken from the representation: there is no If-Range, or it is this one's
/// by a strong comparison (section 13.1.5). A date is a strong validator where an answer's Date is
/// at least one second later (section 8.8.2.2). Which may be that of the I/O thread's last turn,
/// and so a second behind `now`.
bool may_send_range(const RequestHead& request, const Validators& current,
                    std::time_t now = std::time(nullptr));

}  // namespace prowingen
