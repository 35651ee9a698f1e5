// Coders that nobody uses just now: to make one takes longer than a short answer's coding.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "compression/coder.h"

namespace prowingen::compression {

/// A coding that is offered, and how hard it tries.
struct Offer {
  Coding coding;
  int level;
};

/// By `Coding`: what a level may be, and what it is if none is said. docs/architecture.md has the
/// figures that these were chosen by.
struct Levels {
  int least;
  int most;
  int usual;
};
constexpr std::array<Levels, coding_count> levels{{{1, 19, 3}, {0, 11, 4}, {1, 9, 5}}};

/// Any thread.
class Coders {
 public:
  explicit Coders(Offer offer) : offer_(offer) { spares_.reserve(most_spares); }

  /// One that is free, or another. Throws std::bad_alloc.
  std::unique_ptr<Coder> take();
  /// Whatever it was in the middle of is forgotten.
  void give_back(std::unique_ptr<Coder> coder);
  Coding coding() const { return offer_.coding; }
  /// At this level the coding of a few hundred octets is not worth giving the GIL up for.
  bool quick() const;

 private:
  // As many as there are answers that are coded at a time, on most machines.
  static constexpr std::size_t most_spares = 16;
  // Of the highest levels one takes tens of MiB, and so long that to make it is nothing.
  static constexpr std::size_t most_memory = std::size_t{4} << 20;

  const Offer offer_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Coder>> spares_;
};

/// A coder for one answer.
class Lease {
 public:
  explicit Lease(std::shared_ptr<Coders> coders)
      : coders_(std::move(coders)), coder_(coders_->take()) {}
  ~Lease() { coders_->give_back(std::move(coder_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Coder& get() { return *coder_; }
  bool quick() const { return coders_->quick(); }

 private:
  const std::shared_ptr<Coders> coders_;
  std::unique_ptr<Coder> coder_;
};

}  // namespace prowingen::compression
