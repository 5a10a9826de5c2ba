#include "dial.h"

#include <Poco/Net/Context.h>
#include <Poco/Net/DNS.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/SecureStreamSocket.h>
#include <Poco/URI.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>

namespace flynn::cli {
namespace {

using Poco::Net::SocketAddress;

const Poco::Timespan kConnectTimeout(10, 0);
const Poco::Timespan kAnswerTimeout(60, 0);

Error unreachable(const std::string& url, const std::string& why) {
  return {
      "connect to the controller at " + url + ": " + why,
      "The node may be down: start it with scripts/up, or choose another cluster with -c ('flynn cluster' lists them).",
      Failure::kRefused};
}

std::vector<Poco::Net::IPAddress> addresses_of(const std::string& host) {
  if (is_localhost_name(host)) return {Poco::Net::IPAddress("127.0.0.1"), Poco::Net::IPAddress("::1")};
  Poco::Net::IPAddress literal;
  if (Poco::Net::IPAddress::tryParse(host, literal)) return {literal};
  return Poco::Net::DNS::hostByName(host).addresses();
}

/// Base64 of the SHA-256 of the certificate in DER.
std::string digest_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return "";
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text{};
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length)};
}

Poco::Net::Context::Ptr client_context(bool pinned) {
  const auto mode = pinned ? Poco::Net::Context::VERIFY_NONE : Poco::Net::Context::VERIFY_STRICT;
  Poco::Net::Context::Ptr context =
      new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, "", "", "", mode, 9, true);
  // An attached job's outgoing bytes move and grow between two tries of a non-blocking write.
  SSL_CTX_set_mode(context->sslContext(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Result<Dialled> connect_tls(const Endpoint& endpoint, const Poco::URI& uri, const SocketAddress& address) {
  const bool pinned = !endpoint.tls_pin.empty();
  Poco::Net::SecureStreamSocket socket(client_context(pinned));
  socket.setPeerHostName(uri.getHost());
  socket.connect(address, kConnectTimeout);
  if (pinned && digest_of(socket.peerCertificate().certificate()) != endpoint.tls_pin) {
    return failure("connect to " + endpoint.url + ": the peer leaf certificate did not match the provided pin",
                   "If the cluster's certificate was replaced on purpose, add the cluster again with its new pin.")
        .as(ErrorCode::kCertificatePinMismatch);
  }
  // HTTPSClientSession of Poco 1.11 refuses a connected socket; over a secure one the plain session does the same.
  return Dialled{socket, std::make_unique<Poco::Net::HTTPClientSession>(socket), uri.getAuthority()};
}

Result<Dialled> connect_plain(const Poco::URI& uri, const SocketAddress& address) {
  Poco::Net::StreamSocket socket;
  socket.connect(address, kConnectTimeout);
  return Dialled{socket, std::make_unique<Poco::Net::HTTPClientSession>(socket), uri.getAuthority()};
}

Result<Dialled> connect_any(const Endpoint& endpoint, const Poco::URI& uri) {
  const bool secure = uri.getScheme() == "https";
  std::string why = "no address";
  for (const auto& ip : addresses_of(uri.getHost())) {
    try {
      const SocketAddress address(ip, uri.getPort());
      auto dialled = secure ? connect_tls(endpoint, uri, address) : connect_plain(uri, address);
      if (!dialled) return dialled;
      dialled->socket.setSendTimeout(kAnswerTimeout);
      dialled->socket.setReceiveTimeout(kAnswerTimeout);
      dialled->session->setKeepAlive(true);  // else Poco overwrites every Connection header with "close"
      return dialled;
    } catch (const Poco::Net::SSLException& error) {
      return failure("connect to " + endpoint.url + ": TLS: " + error.displayText(),
                     "A certificate of your own needs its pin: 'flynn cluster add -f -p PIN …'.")
          .as(ErrorCode::kCertificateNotTrusted);
    } catch (const Poco::Exception& error) {
      // The first address is the one that people mean; what the others say is noise.
      if (why == "no address") why = error.displayText();
    }
  }
  return unreachable(endpoint.url, why);
}

}  // namespace

bool is_localhost_name(std::string_view host) {
  while (host.ends_with('.')) host.remove_suffix(1);
  return host == "localhost" || host.ends_with(".localhost");
}

Result<Dialled> dial(const Endpoint& endpoint) {
  try {
    const Poco::URI uri(endpoint.url);
    if ((uri.getScheme() != "http" && uri.getScheme() != "https") || uri.getHost().empty()) {
      return failure("\"" + endpoint.url + "\" is not a controller's URL: expected http://HOST or https://HOST",
                     "Correct ControllerURL in your .flynnrc, or add the cluster again.");
    }
    return connect_any(endpoint, uri);
  } catch (const Poco::Net::DNSException& error) {
    return unreachable(endpoint.url, error.displayText())
        .advise("DNS knows no address for that name: check the domain with 'flynn cluster', or try 'getent hosts'.")
        .as(ErrorCode::kNameNotResolved);
  } catch (const Poco::Net::NetException& error) {
    return unreachable(endpoint.url, error.displayText());
  } catch (const Poco::Exception& error) {
    return failure("connect to " + endpoint.url + ": " + error.displayText());
  }
}

}  // namespace flynn::cli
