#include "compression/coders.h"

#include <utility>

namespace prowingen::compression {
namespace {

std::unique_ptr<Coder> make(Offer offer) {
  switch (offer.coding) {
    case Coding::zstd: return make_zstd_coder(offer.level);
    case Coding::brotli: return make_brotli_coder(offer.level);
    case Coding::gzip: return make_gzip_coder(offer.level);
  }
  return nullptr;
}

}  // namespace

bool Coders::quick() const {
  return offer_.level <= levels[static_cast<std::size_t>(offer_.coding)].usual;
}

std::unique_ptr<Coder> Coders::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!spares_.empty()) {
      auto coder = std::move(spares_.back());
      spares_.pop_back();
      return coder;
    }
  }
  return make(offer_);
}

void Coders::give_back(std::unique_ptr<Coder> coder) {
  coder->reset();
  if (coder->memory() > most_memory) return;
  const std::lock_guard lock(mutex_);
  if (spares_.size() < most_spares) spares_.push_back(std::move(coder));
}

}  // namespace prowingen::compression
