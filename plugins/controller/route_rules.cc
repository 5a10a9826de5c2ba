#include "route_rules.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <set>

#include "ident.h"
#include "validation.h"

namespace flynn::controller {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(" \t\r\n"));
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

int refuse_password(char*, int, int, void*) { return -1; }

/// Empty when certificate and key belong together, else why not.
std::string pair_problem(const std::string& cert_pem, const std::string& key_pem) {
  Bio cert_bio(BIO_new_mem_buf(cert_pem.data(), static_cast<int>(cert_pem.size())));
  Bio key_bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  Certificate cert(PEM_read_bio_X509(cert_bio.get(), nullptr, refuse_password, nullptr));
  PrivateKey key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, refuse_password, nullptr));
  std::string problem;
  if (!cert) {
    problem = "the certificate is no PEM certificate";
  } else if (!key) {
    problem = "the key is no PEM private key (without a password)";
  } else if (X509_check_private_key(cert.get(), key.get()) != 1) {
    problem = "the key does not belong to the certificate";
  }
  ERR_clear_error();
  return problem;
}

bool same_drain(const json::object& route, const json::object& other) {
  return flag_of(route, "drain_backends") == flag_of(other, "drain_backends");
}

}  // namespace

json::object place_of(const json::object& route) {
  json::object out{{"type", text_of(route, "type")}};
  for (const char* name : {"domain", "path", "port"}) {
    if (const json::value* value = member(route, name)) out[name] = *value;
  }
  return out;
}

std::string normal_path(const std::string& path) {
  if (path.empty() || path == "/") return "/";
  return path.back() == '/' ? path : path + "/";
}

Verdict check_http_route(const json::object& route, const std::vector<json::object>& others) {
  std::string domain = text_of(route, "domain");
  std::string path = text_of(route, "path");
  if (!is_domain(domain)) return validation("domain", "\"" + domain + "\" is no domain name");
  if (!is_service_name(text_of(route, "service"))) return validation("service", "must be set to a service name");
  if (number_of(route, "port") != 0) return validation("", "Invalid route: the router listens on no additional port");
  bool odd = path.find_first_of(" ?#\\") != std::string::npos || path.find("//") != std::string::npos;
  if (path[0] != '/' || path.size() > 1024 || odd) return validation("path", "\"" + path + "\" is no path");
  bool has_default = path == "/";
  for (const json::object& other : others) {
    if (text_of(other, "service") == text_of(route, "service") && !same_drain(route, other)) {
      return validation("",
                        "cannot create route with mismatch drain_backends (set on another route of the same service)");
    }
    if (text_of(other, "domain") != domain) continue;
    if (text_of(other, "path") == path) return duplicate_route(other);
    has_default = has_default || text_of(other, "path") == "/";
  }
  if (!has_default)
    return validation("", "Invalid route: no default route (path \"/\") exists for the domain " + domain);
  return std::nullopt;
}

Verdict check_http_removal(const json::object& route, const std::vector<json::object>& others) {
  if (text_of(route, "path") != "/") return std::nullopt;
  for (const json::object& other : others) {
    bool depends = text_of(other, "domain") == text_of(route, "domain") && text_of(other, "path") != "/";
    if (depends) return validation("", "Route has dependent routes");
  }
  return std::nullopt;
}

Verdict choose_tcp_port(json::object& route, const std::vector<json::object>& others, const PortRange& range) {
  if (!is_service_name(text_of(route, "service"))) return validation("service", "must be set to a service name");
  std::set<std::int64_t> taken;
  std::int64_t port = number_of(route, "port");
  for (const json::object& other : others) {
    taken.insert(number_of(other, "port"));
    if (port != 0 && number_of(other, "port") == port) return duplicate_route(other);
  }
  if (port == 80 || port == 443) return conflict("Port reserved for HTTP/HTTPS traffic");
  const std::string ports = std::to_string(range.first) + " to " + std::to_string(range.last);
  if (port != 0 && (port < range.first || port > range.last)) {
    return validation("port", std::to_string(port) + " is not one of this node's for TCP routes, " + ports +
                                  ": name one of these, or 0 for any that is free (others: tcp_port_first and "
                                  "tcp_port_last of the controller, with the node's listener router.tcp)");
  }
  if (port != 0) return std::nullopt;
  for (std::int64_t candidate = range.first; candidate <= range.last; ++candidate) {
    if (taken.contains(candidate)) continue;
    route["port"] = candidate;
    return std::nullopt;
  }
  return conflict("No free port is left from " + ports +
                  "; remove a tcp route, or widen the range (tcp_port_first and "
                  "tcp_port_last of the controller, with the node's listener router.tcp)");
}

ApiError duplicate_route(const json::object& route) {
  const bool tcp = text_of(route, "type") == "tcp";
  const std::string place =
      tcp ? "port " + std::to_string(number_of(route, "port")) : text_of(route, "domain") + text_of(route, "path");
  return conflict("Duplicate route: " + place + " is another route's already", place_of(route));
}

Outcome<json::value> certificate_of(const json::object& asked, const std::string& route_id) {
  json::object given = object_of(asked, "certificate");
  std::string cert = trimmed(text_of(asked, "tls_cert", text_of(given, "cert")));
  std::string key = trimmed(text_of(asked, "tls_key", text_of(given, "key")));
  if (cert.empty() && key.empty()) return json::value(nullptr);
  std::string problem = pair_problem(cert, key);
  if (!problem.empty()) return validation("", "Certificate invalid: " + problem);
  std::string now = now_text();
  // The same certificate has the same id, wherever it is used.
  std::string id = uuid_of_digest(sha256_hex(cert));
  return json::value(json::object{{"id", id},
                                  {"routes", json::array{json::value(route_id)}},
                                  {"cert", cert},
                                  {"key", key},
                                  {"created_at", now},
                                  {"updated_at", now}});
}

}  // namespace flynn::controller
