// Where figures are pushed to, as Python has read it from the options.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "statsd/rules.h"

namespace prowingen::bindings {

/// Where it is written, its host, port and path; whether labels are tags, the prefix, tags and the
/// interval in seconds. Nothing: figures are pushed nowhere.
using StatsdTerms = std::optional<std::tuple<std::string, std::string, std::string, std::string,
                                             bool, std::string, std::vector<std::string>, double>>;

std::optional<statsd::Rules> statsd_rules(const StatsdTerms& terms);

}  // namespace prowingen::bindings
