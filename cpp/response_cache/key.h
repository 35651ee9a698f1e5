// What an answer is found by: the target URI as the application has it, and of each request what
// the answer varies by (RFC 9111 sections 2 and 4.1).
//
// What an application may make an URL of is a part of it in any case, whoever has said it: else one
// client could have others sent to a host that it has made up.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange.h"
#include "http/message.h"

namespace prowingen::response_cache {

/// Of any method; the same for a target in origin-form and in absolute-form. Empty: the target is
/// no URI of HTTP's.
std::string uri_key(const Exchange& exchange);

/// Names of fields in small letters, sorted, each once.
using FieldNames = std::vector<std::string>;

/// What the answer's fields Vary name. Nothing: it varies by what no request has, or cannot be
/// read.
std::optional<FieldNames> varies_by(const ResponseHead& head);

/// What a request says in these fields, and in those that URLs are made of.
std::string selected_by(const RequestHead& request, std::span<const std::string> names);

}  // namespace prowingen::response_cache
