#include "heartbeat.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "flynn/sdk/unique_fd.h"

namespace flynn::sdutil {
namespace {

constexpr int kEveryMs = 4'000, kAgainMs = 300;

}  // namespace

Result<Registered> Registered::parse(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto port = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), ::isdigit);
  if (colon == 0 || !number || std::atoi(port.c_str()) < 1 || std::atoi(port.c_str()) > 65535)
    return Error{Code::invalid_argument, "\"" + text + "\" is no NAME:PORT"};
  return Registered{text.substr(0, colon), port};
}

std::string own_address(const DiscoverdClient& discoverd) {
  if (const char* external = std::getenv("EXTERNAL_IP"); external != nullptr && *external != '\0') return external;
  // Nothing is sent: connecting a datagram socket chooses the address.
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1111);
  socklen_t size = sizeof address;
  std::array<char, INET_ADDRSTRLEN> text{};
  if (::inet_pton(AF_INET, discoverd.host().c_str(), &address.sin_addr) != 1 ||
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size()) == nullptr)
    return "127.0.0.1";
  return text.data();
}

Result<std::string> address_of_interface(const std::string& name) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return errno_error(errno, "list the interfaces");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(all, ::freeifaddrs);
  for (const auto* one = all; one != nullptr; one = one->ifa_next) {
    if (name != one->ifa_name || one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()) != nullptr) return std::string(text.data());
  }
  return Error{Code::not_found, "interface " + name + " does not exist or has no IPv4 address (ip addr lists them)"};
}

Heartbeat::Heartbeat(DiscoverdClient discoverd, const std::string& address, const std::vector<Registered>& wanted)
    : discoverd_(std::move(discoverd)) {
  for (const auto& one : wanted) {
    const auto addr = address + ":" + one.port;
    instances_.emplace_back(one.service, Instance{instance_id("tcp", addr), addr, "tcp"});
  }
}

Result<void> Heartbeat::begin() {
  for (const auto& [service, instance] : instances_) {
    auto done = discoverd_.make_service(service);
    if (done) done = discoverd_.put(service, instance);
    if (!done) return done.error().context("register " + service + " at " + instance.addr);
    std::fprintf(stderr, "sdutil: registered %s at %s\n", service.c_str(), instance.addr.c_str());
  }
  if (!instances_.empty()) worker_.start("heartbeat", [this](const StopSignal& stop) { run(stop); });
  return {};
}

void Heartbeat::run(const StopSignal& stop) {
  bool well = true;
  while (!stop.wait(well ? kEveryMs : kAgainMs)) {
    const bool was_well = std::exchange(well, true);
    for (const auto& [service, instance] : instances_) {
      auto done = discoverd_.make_service(service);
      if (done) done = discoverd_.put(service, instance);
      if (done) continue;
      if (was_well && well) std::fprintf(stderr, "sdutil: %s; trying again\n", done.error().message.c_str());
      well = false;
    }
  }
}

void Heartbeat::end() {
  if (!worker_.running()) return;
  worker_.stop();
  for (const auto& [service, instance] : instances_)
    if (auto removed = discoverd_.remove(service, instance.id); !removed)
      std::fprintf(stderr, "sdutil: %s; it goes by itself in 10 s\n", removed.error().message.c_str());
}

}  // namespace flynn::sdutil
