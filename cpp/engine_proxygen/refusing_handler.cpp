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

class DeafHandler : public px::HTTPTransactionHandler {
  void setTransaction(px::HTTPTransaction* transaction) noexcept final {
    transaction_ = transaction;
  }
  void detachTransaction() noexcept final { delete this; }
  void onError(const px::HTTPException&) noexcept override {}
  void onHeadersComplete(std::unique_ptr<px::HTTPMessage>) noexcept override {}
  void onBody(std::unique_ptr<folly::IOBuf>) noexcept final {}
  void onTrailers(std::unique_ptr<px::HTTPHeaders>) noexcept final {}
  void onEOM() noexcept final {}
  void onUpgrade(px::UpgradeProtocol) noexcept final {}
  void onEgressPaused() noexcept final {}
  void onEgressResumed() noexcept final {}

 protected:
  px::HTTPTransaction& transaction() { return *transaction_; }

 private:
  px::HTTPTransaction* transaction_ = nullptr;
};

class RefusingHandler final : public DeafHandler {
 public:
  RefusingHandler(EventThread& thread, const Refusal& refusal)
      : thread_(thread), refusal_(refusal) {}

 private:
  void onError(const px::HTTPException&) noexcept override {
    if (std::exchange(told_, true) || !transaction().canSendHeaders()) return;
    const std::string page = refusal_page(refusal_);
    px::HTTPMessage answer;
    put_refusal(answer, refusal_, page, thread_);
    transaction().sendHeaders(answer);
    transaction().sendBody(folly::IOBuf::copyBuffer(page));
    transaction().sendEOM();
  }

  EventThread& thread_;
  const Refusal& refusal_;
  bool told_ = false;
};

class ResettingHandler final : public DeafHandler {
  void onHeadersComplete(std::unique_ptr<px::HTTPMessage>) noexcept override {
    transaction().sendAbort();
  }
};

}  // namespace

px::HTTPTransactionHandler* make_refusing_handler(EventThread& thread, const Refusal& refusal) {
  return std::make_unique<RefusingHandler>(thread, refusal).release();
}

px::HTTPTransactionHandler* make_resetting_handler() {
  return std::make_unique<ResettingHandler>().release();
}

}  // namespace prowingen::proxygen_engine
