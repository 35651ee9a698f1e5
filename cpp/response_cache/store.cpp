#include "response_cache/store.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace prowingen::response_cache {
namespace {

// Names that the answers of one URI vary by; those of more are not kept.
constexpr std::size_t most_names = 16;

FieldNames all_of(const FieldNames& a, const FieldNames& b) {
  FieldNames all;
  std::ranges::set_union(a, b, std::back_inserter(all));
  return all;
}

}  // namespace

Store::EntryPointer Store::find(const std::string& uri, const RequestHead& request,
                                SteadyTime now) {
  Nodes gone;
  const std::lock_guard lock(mutex_);
  const auto group = groups_.find(uri);
  if (group == groups_.end()) return nullptr;
  const auto found = group->second.entries.find(selected_by(request, group->second.names));
  if (found == group->second.entries.end()) return nullptr;
  const auto node = found->second;
  if (node->entry->is_over(now)) {
    take_out(node, gone);
    drop_if_empty(uri);
    return nullptr;
  }
  if (node != nodes_.begin()) nodes_.splice(nodes_.begin(), nodes_, node);
  return node->entry;
}

void Store::keep(std::unique_ptr<Entry> entry, const RequestHead& request,
                 const FieldNames& varies) {
  Nodes gone;
  std::shared_ptr<Entry> kept = std::move(entry);
  const std::lock_guard lock(mutex_);
  if (kept->asked_at <= changed_at(kept->uri)) return;
  auto known = groups_.find(kept->uri);
  FieldNames names = known == groups_.end() ? varies : all_of(known->second.names, varies);
  if (names.size() > most_names) return;
  kept->selected = selected_by(request, names);
  if (kept->memory() > limit_) return;

  if (known == groups_.end()) known = groups_.try_emplace(kept->uri).first;
  Group& group = known->second;
  if (names != group.names) {
    take_out_all(group, gone);  // they are found by less
    group.names = std::move(names);
  }
  if (const auto before = group.entries.find(kept->selected); before != group.entries.end()) {
    if (before->second->entry->asked_at > kept->asked_at) return;
    take_out(before->second, gone);
  }
  nodes_.push_front({std::move(kept), &*known});
  const Entry& added = *nodes_.front().entry;
  group.entries.emplace(added.selected, nodes_.begin());
  counters_.bytes += added.memory();
  ++counters_.entries;
  ++counters_.stored;
  while (counters_.bytes > limit_) {
    const auto last = std::prev(nodes_.end());
    const std::string uri = last->entry->uri;
    take_out(last, gone);
    drop_if_empty(uri);
    ++counters_.evicted;
  }
}

void Store::remove(const std::string& uri) {
  Nodes gone;
  const std::lock_guard lock(mutex_);
  changed_at(uri) = std::chrono::steady_clock::now();
  const auto group = groups_.find(uri);
  if (group == groups_.end()) return;
  take_out_all(group->second, gone);
  groups_.erase(group);
}

void Store::remove(const Entry& entry) {
  Nodes gone;
  const std::lock_guard lock(mutex_);
  const auto group = groups_.find(entry.uri);
  if (group == groups_.end()) return;
  const auto found = group->second.entries.find(entry.selected);
  if (found == group->second.entries.end() || found->second->entry.get() != &entry) return;
  take_out(found->second, gone);
  drop_if_empty(entry.uri);
}

Store::Counters Store::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void Store::take_out(Nodes::iterator node, Nodes& gone) {
  node->group->second.entries.erase(node->entry->selected);
  counters_.bytes -= node->entry->memory();
  --counters_.entries;
  gone.splice(gone.begin(), nodes_, node);
}

void Store::take_out_all(Group& group, Nodes& gone) {
  while (!group.entries.empty()) take_out(group.entries.begin()->second, gone);
}

void Store::drop_if_empty(const std::string& uri) {
  const auto group = groups_.find(uri);
  if (group->second.entries.empty()) groups_.erase(group);
}

}  // namespace prowingen::response_cache
