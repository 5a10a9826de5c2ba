// What is around a forwarder, for tests: a syslog server on a real socket, its certificate, and the host's log.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "flynn/sdk/host.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::logs {

/// Keeps the events of a log and waits for one. Thread: [any].
class EventLog : public Log {
 public:
  void write(LogLevel, std::string_view event, const json::object& fields) override {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(event, fields);
    came_.notify_all();
  }
  /// The fields of the first event of that name, empty when it does not come within 20 s.
  json::object wait_for(const std::string& event) {
    std::unique_lock lock(mutex_);
    json::object fields;
    came_.wait_for(lock, std::chrono::seconds(20), [&] {
      for (const auto& [name, found] : events_) {
        if (name != event) continue;
        fields = found;
        return true;
      }
      return false;
    });
    return fields;
  }
  std::size_t count(const std::string& event) {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& entry : events_) sum += entry.first == event ? 1 : 0;
    return sum;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::pair<std::string, json::object>> events_;
};

/// A certificate that vouches for itself, and a server's context with it.
class TestCertificate {
 public:
  /// `names`: as OpenSSL writes them, "DNS:localhost".
  explicit TestCertificate(const char* names) : key_(::EVP_EC_gen("P-256")), certificate_(::X509_new()) {
    auto* certificate = certificate_.get();
    ::X509_set_version(certificate, X509_VERSION_3);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -3600);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 24 * 3600);
    ::X509_set_pubkey(certificate, key_.get());
    auto* subject = ::X509_get_subject_name(certificate);
    ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1,
                                 0);
    ::X509_set_issuer_name(certificate, subject);
    extend(NID_subject_alt_name, names);
    extend(NID_basic_constraints, "critical,CA:TRUE");
    EXPECT_GT(::X509_sign(certificate, key_.get(), ::EVP_sha256()), 0);
    context_.reset(::SSL_CTX_new(::TLS_server_method()));
    EXPECT_EQ(::SSL_CTX_use_certificate(context_.get(), certificate), 1);
    EXPECT_EQ(::SSL_CTX_use_PrivateKey(context_.get(), key_.get()), 1);
  }
  void write_to(const std::string& path) const {
    std::unique_ptr<BIO, decltype(&::BIO_free)> file(::BIO_new_file(path.c_str(), "w"), &::BIO_free);
    ASSERT_EQ(::PEM_write_bio_X509(file.get(), certificate_.get()), 1);
  }
  SSL_CTX* context() const { return context_.get(); }

 private:
  void extend(int kind, const char* value) {
    std::unique_ptr<X509_EXTENSION, decltype(&::X509_EXTENSION_free)> extension(
        ::X509V3_EXT_conf_nid(nullptr, nullptr, kind, value), &::X509_EXTENSION_free);
    EXPECT_EQ(::X509_add_ext(certificate_.get(), extension.get(), -1), 1);
  }
  struct Free {
    void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { ::X509_free(certificate); }
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// The server's end of one connection; everything waits 20 s at most. Thread: one at a time.
class SyslogPeer {
 public:
  explicit SyslogPeer(UniqueFd fd) : fd_(std::move(fd)), ssl_(nullptr, &::SSL_free) {
    const timeval limit{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  /// False when the client did not like the certificate.
  bool shake_hands(SSL_CTX* context) {
    ssl_.reset(::SSL_new(context));
    ::SSL_set_fd(ssl_.get(), fd_.get());
    return ::SSL_accept(ssl_.get()) == 1;
  }
  /// The next message by octet counting; what there is when the connection ends.
  std::string next() {
    while (true) {
      const auto space = buffer_.find(' ');
      const auto size = space == std::string::npos ? 0 : std::strtoull(buffer_.c_str(), nullptr, 10);
      if (size > 0 && buffer_.size() > space + size) return take(space + 1, size);
      if (!fill()) return "ended after: " + buffer_;
    }
  }
  std::string next_line() {
    while (true) {
      if (const auto newline = buffer_.find('\n'); newline != std::string::npos) return take(0, newline + 1);
      if (!fill()) return "ended after: " + buffer_;
    }
  }
  /// The text of the next message after its header, which has no structured data.
  std::string next_text() {
    auto message = next();
    std::size_t at = 0;
    for (int field = 0; field < kHeaderFields; ++field) {
      at = message.find(' ', at) + 1;
      if (at == 0) return message;
    }
    return message.substr(at);
  }
  bool ends() {
    while (fill()) {
    }
    return ended_;
  }
  /// Waits until the client has said something, and leaves it there.
  bool hears() {
    char byte = 0;
    return ::recv(fd_.get(), &byte, 1, MSG_PEEK) == 1;
  }

 private:
  static constexpr int kHeaderFields = 7;  // the last is the structured data's dash

  std::string take(std::size_t from, std::size_t size) {
    auto text = buffer_.substr(from, size);
    buffer_.erase(0, from + size);
    return text;
  }
  bool fill() {
    std::array<char, 16 * 1024> part;
    const auto got = ssl_ ? ::SSL_read(ssl_.get(), part.data(), static_cast<int>(part.size()))
                          : static_cast<int>(::recv(fd_.get(), part.data(), part.size(), 0));
    ended_ = got == 0;
    if (got <= 0) return false;
    buffer_.append(part.data(), static_cast<std::size_t>(got));
    return true;
  }

  UniqueFd fd_;
  std::unique_ptr<SSL, decltype(&::SSL_free)> ssl_;
  std::string buffer_;
  bool ended_ = false;
};

/// Listens on a port of 127.0.0.1 that stays its own while it does not listen. Thread: one at a time.
class SyslogServer {
 public:
  SyslogServer() {
    holder_ = bound(0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(holder_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    listen();
  }
  void listen() {
    listener_ = bound(port_);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
  }
  void close() { listener_.reset(); }
  SyslogPeer accept() {
    pollfd entry{listener_.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 20'000), 1) << "nobody connects";
    if (entry.revents == 0) return SyslogPeer(UniqueFd());
    return SyslogPeer(UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  std::string at(const std::string& host, const std::string& scheme = "syslog") const {
    return scheme + "://" + host + ":" + std::to_string(port_);
  }

 private:
  static UniqueFd bound(std::uint16_t port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  UniqueFd holder_, listener_;
  std::uint16_t port_ = 0;
};

}  // namespace flynn::logs
