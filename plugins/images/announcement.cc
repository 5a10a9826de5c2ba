#include "announcement.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace flynn::images {
namespace {

constexpr const char* kDiscovery = "flynn.discovery/1";
constexpr const char* kService = "images";
constexpr const char* kInstance = "images";
constexpr int kRenewMs = 3'000;
constexpr std::int64_t kTtlMs = 10'000;

std::string address_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  std::array<char, INET_ADDRSTRLEN> text{};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sin_family != AF_INET) return {};
  // All addresses: the router is on this machine.
  if (address.sin_addr.s_addr == htonl(INADDR_ANY)) address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(address.sin_port));
}

}  // namespace

Announcement::Announcement(Door& door, Log& log, int listening) : door_(door), log_(log), addr_(address_of(listening)) {
  worker_.start("images-announce", [this](const StopSignal& stop) { run(stop); });
}

Announcement::~Announcement() { worker_.stop(); }

void Announcement::run(const StopSignal& stop) {
  do {
    if (!lease_.empty()) {
      auto renewed = door_.call(kDiscovery, "Renew", {{"service", kService}, {"id", kInstance}, {"lease", lease_}}, 3s);
      if (renewed || renewed.error().code != Code::not_found) continue;
    }
    auto registered = door_.call(
        kDiscovery, "Register",
        {{"service", kService}, {"id", kInstance}, {"addr", addr_}, {"proto", "http"}, {"ttl_ms", kTtlMs}}, 3s);
    lease_ = registered ? string_or(registered->body, "lease") : "";
    if (!registered) log_.warn("not_registered", {{"service", kService}, {"error", registered.error().message}});
  } while (!stop.wait(kRenewMs));
}

}  // namespace flynn::images
