#include "announcement.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace flynn::http {
namespace {

constexpr const char* kDiscovery = "flynn.discovery/1";
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

Announcement::Announcement(Door& door, Log& log, AnnouncedService announced, int listening)
    : door_(door), log_(log), announced_(std::move(announced)), addr_(address_of(listening)) {
  worker_.start(announced_.thread, [this](const StopSignal& stop) { run(stop); });
}

Announcement::~Announcement() { worker_.stop(); }

void Announcement::activate() {
  gate_.open();
  wake_.ask();
}

void Announcement::quiesce() {
  gate_.close();
  (void)gate_.wait_empty();
  lease_.clear();  // the instance that follows registers with one of its own
}

void Announcement::run(const StopSignal& stop) {
  while (!stop.asked()) {
    wake_.clear();
    bool announced = false;
    if (const auto pass = gate_.enter()) {
      renew_or_register();
      announced = true;
    }
    std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake_.fd(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), announced ? kRenewMs : -1);
  }
}

void Announcement::renew_or_register() {
  const auto& [service, instance, thread] = announced_;
  if (!lease_.empty()) {
    auto renewed = door_.call(kDiscovery, "Renew", {{"service", service}, {"id", instance}, {"lease", lease_}}, 3s);
    if (renewed || renewed.error().code != Code::not_found) return;
  }
  auto registered =
      door_.call(kDiscovery, "Register",
                 {{"service", service}, {"id", instance}, {"addr", addr_}, {"proto", "http"}, {"ttl_ms", kTtlMs}}, 3s);
  lease_ = registered ? string_or(registered->body, "lease") : "";
  if (!registered) log_.warn("not_registered", {{"service", service}, {"error", registered.error().message}});
}

}  // namespace flynn::http
