// Sessions are resumed by whoever has the key of their tickets, and never past a demand for a
// client's certificate that they were begun without.
#include "tls/context.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tls/self_signed.h"

namespace prowingen::tls {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;

class TlsTicketsTest : public testing::Test {
 protected:
  Options options() const { return certificate.options(); }

  Options wanting(const std::string& reqs, const std::string& authority) const {
    Options options = certificate.options();
    options.cert_reqs = reqs;
    options.ca_certs = authority;
    return options;
  }

  static std::unique_ptr<Context> made(const Options& options, const std::string& key = "") {
    auto context = std::make_unique<Context>(options, std::vector<std::string>{"http/1.1"});
    if (!key.empty()) context->share_tickets(key);
    return context;
  }

  // Shakes hands, with a session to resume if there is one; tells whether it was resumed.
  bool resumed(const Context& server) {
    const std::unique_ptr<SSL, Free> ours(SSL_new(server.current().get()));
    const std::unique_ptr<SSL, Free> theirs(SSL_new(client.get()));
    BIO* near = nullptr;
    BIO* far = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&near, 0, &far, 0), 1);
    SSL_set_bio(ours.get(), near, near);
    SSL_set_bio(theirs.get(), far, far);
    SSL_set_accept_state(ours.get());
    SSL_set_connect_state(theirs.get());
    if (session) SSL_set_session(theirs.get(), session.get());
    bool done = false;
    for (int i = 0; i < 20 && !done; ++i) {
      const bool client_done = SSL_do_handshake(theirs.get()) == 1;
      done = SSL_do_handshake(ours.get()) == 1 && client_done;
    }
    EXPECT_TRUE(done) << last_error();
    session.reset(SSL_get1_session(theirs.get()));
    SSL_set_shutdown(theirs.get(), SSL_SENT_SHUTDOWN);  // OpenSSL spoils a session that was cut off
    return SSL_session_reused(theirs.get()) == 1;
  }

  void SetUp() override {
    // The client knows its session when the handshake is over, which it is not with TLS 1.3.
    SSL_CTX_set_max_proto_version(client.get(), TLS1_2_VERSION);
  }

  SelfSigned certificate;
  std::unique_ptr<SSL_CTX, Free> client{SSL_CTX_new(TLS_client_method())};
  const std::string key = Tickets::new_secret();
  Session session;
};

TEST_F(TlsTicketsTest, ASessionIsResumed) {
  const auto server = made(options());
  EXPECT_FALSE(resumed(*server));
  EXPECT_TRUE(resumed(*server));
}

TEST_F(TlsTicketsTest, AnotherContextResumesItWithTheSameKey) {
  EXPECT_FALSE(resumed(*made(options(), key)));
  EXPECT_TRUE(resumed(*made(options(), key)));
  EXPECT_FALSE(resumed(*made(options(), Tickets::new_secret())))
      << "what it cannot read is no ticket";
  EXPECT_FALSE(resumed(*made(options()))) << "by default the key is its own";
}

TEST_F(TlsTicketsTest, NoneIsResumedPastAnotherDemandForACertificate) {
  const SelfSigned other;
  EXPECT_FALSE(resumed(*made(options(), key)));
  EXPECT_FALSE(resumed(*made(wanting("optional", certificate.path()), key)));
  EXPECT_TRUE(resumed(*made(wanting("optional", certificate.path()), key)));
  EXPECT_FALSE(resumed(*made(wanting("optional", other.path()), key))) << "other authorities";
}

TEST_F(TlsTicketsTest, AKeyHasItsLength) {
  EXPECT_NE(Tickets::new_secret(), key);
  const auto server = made(options());
  EXPECT_THROW(server->share_tickets("short"), std::invalid_argument);
  EXPECT_THROW(server->share_tickets(key + "x"), std::invalid_argument);
}

}  // namespace
}  // namespace prowingen::tls
