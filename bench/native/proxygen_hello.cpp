// proxygen's own hello world, without Python: the ceiling of WSGI on proxygen.
//
//   proxygen_hello PORT [THREADS]
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <proxygen/httpserver/HTTPServer.h>
#include <proxygen/httpserver/RequestHandler.h>
#include <proxygen/httpserver/RequestHandlerFactory.h>
#include <proxygen/httpserver/ResponseBuilder.h>

namespace {

constexpr std::string_view hello = "Hello, World!";

class Hello final : public proxygen::RequestHandler {
 public:
  void onRequest(std::unique_ptr<proxygen::HTTPMessage>) noexcept override {}
  void onBody(std::unique_ptr<folly::IOBuf>) noexcept override {}
  void onUpgrade(proxygen::UpgradeProtocol) noexcept override {}
  void onEOM() noexcept override {
    proxygen::ResponseBuilder(downstream_)
        .status(200, "OK")
        .header(proxygen::HTTP_HEADER_CONTENT_TYPE, "text/plain")
        .body(folly::IOBuf::wrapBuffer(hello.data(), hello.size()))
        .sendWithEOM();
  }
  void requestComplete() noexcept override { const std::unique_ptr<Hello> self(this); }
  void onError(proxygen::ProxygenError) noexcept override {
    const std::unique_ptr<Hello> self(this);
  }
};

class HelloFactory final : public proxygen::RequestHandlerFactory {
 public:
  void onServerStart(folly::EventBase*) noexcept override {}
  void onServerStop() noexcept override {}
  proxygen::RequestHandler* onRequest(proxygen::RequestHandler*,
                                      proxygen::HTTPMessage*) noexcept override {
    return new Hello;  // it ends with its transaction
  }
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  proxygen::HTTPServerOptions options;
  options.threads = count > 2 ? std::strtoul(arguments[2], nullptr, 10) : 1;
  options.shutdownOn = {SIGINT, SIGTERM};
  options.handlerFactories = proxygen::RequestHandlerChain().addThen<HelloFactory>().build();
  proxygen::HTTPServer server(std::move(options));
  const auto port = static_cast<std::uint16_t>(std::strtoul(arguments[1], nullptr, 10));
  server.bind(std::vector<proxygen::HTTPServer::IPConfig>{
      {folly::SocketAddress("127.0.0.1", port), proxygen::HTTPServer::Protocol::HTTP}});
  server.start();
  return 0;
}
