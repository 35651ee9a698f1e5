#include "static_files/static_files.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/exchange.h"
#include "core/native_answer.h"
#include "core/pass_on.h"
#include "http/request_target.h"
#include "http/response_policy.h"

namespace prowingen::static_files {
namespace {

constexpr std::string_view index_name = "index.html";

std::string escaped(std::string_view path) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : path) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x20 && octet < 0x7F) {
      text += c;
    } else {
      text.append("\\x").push_back(digits[octet >> 4U]);
      text.push_back(digits[octet & 15U]);
    }
  }
  return text;
}

// What is behind a mount's prefix, without the slash between them; nothing if the path is not
// beneath it.
std::optional<std::string_view> beneath(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (path.empty()) return path;
  if (path.front() != '/') return std::nullopt;
  return path.substr(1);
}

}  // namespace

// By insertion: the library's stable sort takes its memory in a way that is deprecated.
std::vector<Mount> longest_first(std::vector<Mount> mounts) {
  const auto size = [](const Mount& mount) { return mount.prefix.size(); };
  std::vector<Mount> sorted;
  for (Mount& mount : mounts) {
    const auto place = std::ranges::upper_bound(sorted, size(mount), std::ranges::greater(), size);
    sorted.insert(place, std::move(mount));
  }
  return sorted;
}

StaticFiles::StaticFiles(Rules rules, RequestSink& next, Report report)
    : mounts_(longest_first(std::move(rules.mounts))),
      types_(std::move(rules.types)),
      max_age_(rules.max_age),
      transport_security_(std::move(rules.transport_security)),
      next_(next),
      report_(std::move(report)),
      cache_(Cache::Bounds::of_process()),
      missing_(mounts_.size()) {}

std::size_t StaticFiles::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  return pass_on_rest(exchanges, next_, [this](Exchange& exchange) {
    const auto found = find(exchange);
    if (found) serve(exchange, *found);
    return found.has_value();
  });
}

std::optional<StaticFiles::Found> StaticFiles::find(const Exchange& exchange) {
  // Neither what has content nor what would be spoken otherwise is about a file.
  const auto method = exchange.request.method();
  const bool reads = method == "GET" || method == "HEAD";
  if (!reads || exchange.has_body || exchange.may_upgrade) return std::nullopt;
  std::string buffer;
  const auto target = split_target(exchange.request.target());
  const auto path = application_path(exchange, percent_decode(target.path, buffer));
  for (const Mount& mount : mounts_) {
    if (auto found = find_in(mount, path)) return found;
  }
  return std::nullopt;
}

std::optional<StaticFiles::Found> StaticFiles::find_in(const Mount& mount, std::string_view path) {
  const auto relative = beneath(path, mount.prefix);
  if (!relative || !may_be_shown(*relative)) return std::nullopt;
  std::string name(*relative);
  const bool is_root = name.empty() && path.ends_with('/');
  if (!mount.has_index && (name.empty() || name.ends_with('/'))) return std::nullopt;
  if (is_root || name.ends_with('/')) {
    name += index_name;
    return found_of(look_up(mount, name));
  }
  if (!name.empty()) {
    Loaded loaded = look_up(mount, name);
    if (!loaded.is_folder) return found_of(std::move(loaded));
    if (!mount.has_index) return std::nullopt;
    name += '/';
  }
  name += index_name;
  auto index = found_of(look_up(mount, name));
  if (index) index->file = nullptr;
  return index;
}

std::optional<StaticFiles::Found> StaticFiles::found_of(Loaded loaded) {
  const bool lacking = lacks_descriptors(loaded.error);
  if (!loaded.file && !lacking) return std::nullopt;
  return Found{std::move(loaded.file), lacking};
}

Loaded StaticFiles::look_up(const Mount& mount, const std::string& relative) {
  const std::string path = mount.folder.path() + "/" + relative;
  const auto now = std::chrono::steady_clock::now();
  return cache_.find(path, now, [&](const std::shared_ptr<const File>& before) {
    Loaded loaded = load(mount.folder, relative, types_, before, cache_.held());
    if (loaded.error != 0) complain(path, loaded.error);
    see_to_folder(mount, loaded);
    return loaded;
  });
}

// A client chooses the path, and how often.
void StaticFiles::complain(std::string_view path, int error) {
  if (lacks_descriptors(error)) {
    if (!complaints_of_shortage_.is_due()) return;
    report_(Severity::error, "static: cannot open \"" + escaped(path) +
                                 "\": " + std::strerror(error) +
                                 "; it is answered 503 (raise `ulimit -n` or lower "
                                 "max_connections)");
  } else if (complaints_.is_due()) {
    report_(Severity::error, "static: cannot read \"" + escaped(path) + "\": " +
                                 std::strerror(error) + "; the application is asked instead");
  }
}

// Nobody hears of it otherwise: what is not in it is the application's, as ever. Said of each time
// that it goes.
void StaticFiles::see_to_folder(const Mount& mount, const Loaded& loaded) {
  auto& known = missing_[static_cast<std::size_t>(&mount - mounts_.data())];
  const bool is_missing = !loaded.file && !loaded.is_folder && mount.folder.is_missing();
  if (known.load(std::memory_order_relaxed) == is_missing) return;
  if (known.exchange(is_missing) || !is_missing) return;
  report_(Severity::error, "static: the folder \"" + escaped(mount.folder.path()) +
                               "\" is gone; the application is asked for what was in it, until it "
                               "is put back");
}

Content StaticFiles::answer_to(const Exchange& exchange, const Found& found,
                               ResponseHead& head) const {
  if (found.cannot_be_opened) return refuse_for_now(head);
  if (!found.file) return redirect_to_folder(exchange.request, head);
  return answer(exchange.request, found.file, max_age_, head);
}

void StaticFiles::serve(Exchange& exchange, const Found& found) {
  if (!take_at_once(exchange)) return;
  answered_.fetch_add(1, std::memory_order_relaxed);
  ResponseHead& head = exchange.response;
  Content content = answer_to(exchange, found, head);
  if (!transport_security_.empty() && exchange.peer->scheme == "https") {
    head.add_field("Strict-Transport-Security", transport_security_);
  }
  ResponseBody& body = exchange.response_body;
  body = {};
  body.length_known = body.add_length_field = content.length.has_value();
  body.length = content.length.value_or(0);
  send_content(exchange, content.chunks);
}

}  // namespace prowingen::static_files
