#include "engine_proxygen/refusing_handler.h"

#include <memory>
#include <utility>

#include "engine_proxygen/event_thread.h"

namespace prowingen::proxygen_engine {
namespace {

void put_refusal(px::HTTPMessage& answer, const Refusal& refusal, const std::string& page,
                 EventThread& thread) {
  answer.setStatusCode(static_cast<std::uint16_t>(refusal.status));
  px::HTTPHeaders& fields = answer.getHeaders();
  if (refusal.status == 503) fields.add(px::HTTP_HEADER_RETRY_AFTER, "1");
  fields.add(px::HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
  fields.add(px::HTTP_HEADER_CONTENT_LENGTH, std::to_string(page.size()));
  const http1::StandingFields& standing = thread.standing();
  if (!standing.date().empty()) fields.add(px::HTTP_HEADER_DATE, std::string(standing.date()));
  if (!standing.server().empty()) {
    fields.add(px::HTTP_HEADER_SERVER, std::string(standing.server()));
  }
}

class RefusingHandler final : public px::HTTPTransactionHandler {
 public:
  RefusingHandler(EventThread& thread, const Refusal& refusal)
      : thread_(thread), refusal_(refusal) {}

  void setTransaction(px::HTTPTransaction* transaction) noexcept override {
    transaction_ = transaction;
  }
  void detachTransaction() noexcept override { delete this; }
  void onError(const px::HTTPException&) noexcept override {
    if (std::exchange(told_, true) || !transaction_->canSendHeaders()) return;
    const std::string page = refusal_page(refusal_);
    px::HTTPMessage answer;
    put_refusal(answer, refusal_, page, thread_);
    transaction_->sendHeaders(answer);
    transaction_->sendBody(folly::IOBuf::copyBuffer(page));
    transaction_->sendEOM();
  }

  void onHeadersComplete(std::unique_ptr<px::HTTPMessage>) noexcept override {}
  void onBody(std::unique_ptr<folly::IOBuf>) noexcept override {}
  void onTrailers(std::unique_ptr<px::HTTPHeaders>) noexcept override {}
  void onEOM() noexcept override {}
  void onUpgrade(px::UpgradeProtocol) noexcept override {}
  void onEgressPaused() noexcept override {}
  void onEgressResumed() noexcept override {}

 private:
  EventThread& thread_;
  const Refusal& refusal_;
  px::HTTPTransaction* transaction_ = nullptr;
  bool told_ = false;
};

}  // namespace

px::HTTPTransactionHandler* make_refusing_handler(EventThread& thread, const Refusal& refusal) {
  return std::make_unique<RefusingHandler>(thread, refusal).release();
}

}  // namespace prowingen::proxygen_engine
