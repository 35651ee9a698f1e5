// Requests for files are answered by the I/O thread that read them, without a worker and without
// the GIL. All others go on to the workers: also those beneath a mount that no file is there for.
//
//   engine --submit--> StaticFiles --submit--> WorkQueue
//                          `--> mount -> path -> Cache -> Folder (openat2) -> answer
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine.h"
#include "static_files/answer.h"
#include "static_files/cache.h"
#include "static_files/file.h"
#include "static_files/folder.h"
#include "static_files/seldom.h"

namespace prowingen::static_files {

/// Where files are, and under which paths they are shown.
struct Mount {
  std::string prefix;  // "/static"; "" is every path's
  Folder folder;
  bool has_index = true;  // a path that ends in a slash is index.html there
};

/// In the order in which a path is looked for: of the same prefix, the first that was named.
std::vector<Mount> longest_first(std::vector<Mount> mounts);

class StaticFiles final : public RequestSink {
 public:
  struct Rules {
    std::vector<Mount> mounts;
    MediaTypes types;
    MaxAge max_age{0};
    std::string transport_security;  // what goes with answers by HTTPS; empty: nothing
  };
  using Report = std::function<void(Severity, std::string)>;

  StaticFiles(Rules rules, RequestSink& next, Report report);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }

  /// Requests that were answered here.
  std::uint64_t answered() const { return answered_.load(std::memory_order_relaxed); }

 private:
  struct Found {
    std::shared_ptr<const File> file;  // null: a folder that is asked for without its slash
    bool cannot_be_opened = false;     // now: there is no descriptor for it
  };
  std::optional<Found> find(const Exchange& exchange);
  std::optional<Found> find_in(const Mount& mount, std::string_view path);
  static std::optional<Found> found_of(Loaded loaded);
  Loaded look_up(const Mount& mount, const std::string& relative);
  void complain(std::string_view path, int error);
  void see_to_folder(const Mount& mount, const Loaded& loaded);
  void serve(Exchange& exchange, const Found& found);
  Content answer_to(const Exchange& exchange, const Found& found, ResponseHead& head) const;

  std::vector<Mount> mounts_;  // the longest prefix first
  const MediaTypes types_;
  const MaxAge max_age_;
  const std::string transport_security_;

  RequestSink& next_;
  const Report report_;
  Cache cache_;
  std::atomic<std::uint64_t> answered_ = 0;
  std::vector<std::atomic<bool>> missing_;  // whose folder was so when it was last looked at
  Seldom complaints_;
  Seldom complaints_of_shortage_;
};

}  // namespace prowingen::static_files
