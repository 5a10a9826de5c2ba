// The certificate that bootstrap makes, judged as a client judges it.
#include "cluster_certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

namespace flynn::controller {
namespace {

std::shared_ptr<X509> read(const std::string& pem) {
  std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  return {PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free};
}

/// As git does: the chain to the CA, and the name.
std::string verdict(const std::string& leaf_pem, const std::string& authority_pem, const char* host) {
  auto leaf = read(leaf_pem), authority = read(authority_pem);
  std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> trusted(X509_STORE_new(), X509_STORE_free);
  X509_STORE_add_cert(trusted.get(), authority.get());
  std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> judge(X509_STORE_CTX_new(), X509_STORE_CTX_free);
  X509_STORE_CTX_init(judge.get(), trusted.get(), leaf.get(), nullptr);
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(judge.get());
  X509_VERIFY_PARAM_set1_host(rules, host, 0);
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  X509_verify_cert(judge.get());
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(judge.get()));
}

TEST(ClusterCertificate, IsValidForTheDomainAndAllNamesBelow) {
  auto authority = make_authority("apps.example.com");
  ASSERT_TRUE(authority) << authority.error().message;
  auto made = make_certificate(*authority, {"apps.example.com", {"old.example"}});
  ASSERT_TRUE(made) << made.error().message;

  for (const char* host :
       {"apps.example.com", "controller.apps.example.com", "git.apps.example.com", "old.example", "shop.old.example"})
    EXPECT_EQ(verdict(made->cert, authority->cert, host), "ok") << host;
  EXPECT_NE(verdict(made->cert, authority->cert, "example.com"), "ok");
  EXPECT_NE(verdict(made->cert, make_authority("other")->cert, "apps.example.com"), "ok");
}

TEST(ClusterCertificate, HasAPinOfTheLeafAlone) {
  auto authority = make_authority("a.example");
  auto one = make_certificate(*authority, {"a.example", {}}), other = make_certificate(*authority, {"a.example", {}});

  EXPECT_EQ(pin_of(one->cert).size(), 44u) << "base64 of 32 bytes";
  EXPECT_NE(pin_of(one->cert), pin_of(other->cert));
  EXPECT_EQ(pin_of(one->cert.substr(0, one->cert.find("-----END CERTIFICATE-----") + 26)), pin_of(one->cert));
}

}  // namespace
}  // namespace flynn::controller
