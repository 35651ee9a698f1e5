// Which requests the workers of a process are in, for whoever looks at their stacks.
//
// Everything here is done with the GIL, which a worker has whenever it begins or leaves a request:
// so an exchange that is seen here is there until the GIL is given up.
#pragma once

#include <Python.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "core/exchange.h"
#include "wsgi/adapter.h"
#include "wsgi/worker.h"

namespace prowingen::bindings {

class CurrentRequests {
 public:
  /// A worker is looked at for as long as this lives, on its own thread.
  class Watched {
   public:
    Watched(CurrentRequests& requests, const wsgi::Worker& worker) : requests_(requests) {
      requests_.workers_.push_back({PyThread_get_thread_ident(), &worker});
    }
    ~Watched() {
      const auto mine = PyThread_get_thread_ident();
      std::erase_if(requests_.workers_, [mine](const Entry& each) { return each.thread == mine; });
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

   private:
    CurrentRequests& requests_;
  };

  /// A thread's number, the line of the request that it is in, and for how many seconds: -1 in a
  /// callback of a WebSocket's, whose request has been answered long ago.
  using Request = std::tuple<unsigned long, std::string, double>;

  std::vector<Request> list() const {
    std::vector<Request> found;
    for (const auto& [thread, worker] : workers_) {
      const Exchange* const exchange = worker->request;
      if (exchange == nullptr) continue;
      const std::chrono::duration<double> since =
          std::chrono::steady_clock::now() - exchange->taken_at;
      found.emplace_back(thread, wsgi::request_line(*exchange),
                         exchange->events ? -1.0 : since.count());
    }
    return found;
  }

 private:
  struct Entry {
    unsigned long thread;
    const wsgi::Worker* worker;
  };
  std::vector<Entry> workers_;
};

}  // namespace prowingen::bindings
