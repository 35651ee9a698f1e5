// The page that an administrator looks at, and the events that it shows.
//
//   /-/         the page, as it was given: one document, with a policy that lets it do no more
//   /-/events   what is told to those who watch: see watchers.h
//
// All other requests go on.
#pragma once

#include <string>

#include "admin/watchers.h"
#include "core/engine.h"

namespace prowingen::admin {

class PageAnswers final : public RequestSink {
 public:
  struct Page {
    std::string document;  // empty: there is none
    std::string policy;    // its Content-Security-Policy
  };

  PageAnswers(Page page, Watchers& watchers, RequestSink& next)
      : page_(std::move(page)), watchers_(watchers), next_(next) {}

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }

 private:
  bool answer(Exchange& exchange) const;
  void show(Exchange& exchange) const;
  void let_watch(Exchange& exchange) const;

  const Page page_;
  Watchers& watchers_;
  RequestSink& next_;
};

}  // namespace prowingen::admin
