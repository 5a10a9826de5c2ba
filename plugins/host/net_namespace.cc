#include "net_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <thread>

#include "files.h"
#include "mounts.h"
#include "route_socket.h"

namespace flynn::host {
namespace {

constexpr char kInside[] = "eth0";

// Runs in a thread of its own: a thread that has entered another namespace is thrown away rather than brought back.
template <typename Body>
Result<void> in_own_thread(Body body) {
  Result<void> outcome;
  std::thread thread([&] { outcome = body(); });
  thread.join();
  return outcome;
}

Result<void> make_and_mount(const std::string& path) {
  if (::unshare(CLONE_NEWNET) != 0) return errno_error(errno, "make a network namespace");
  if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return errno_error(errno, "mount the network namespace at " + path);
  }
  // Any user may listen on port 80 in there: it is the job's own network.
  (void)write_control("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  // One address family is routed; without this, programs first try IPv6 and wait.
  (void)write_control("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  return {};
}

Result<void> configure_inside(int netns_fd, const NetNamespacePlan& plan) {
  if (::setns(netns_fd, CLONE_NEWNET) != 0) return errno_error(errno, "enter the network namespace");
  auto socket = RouteSocket::open();
  if (!socket) return socket.error();
  if (auto done = socket->set_up("lo"); !done) return done;
  if (auto done = socket->add_address(kInside, plan.address, plan.prefix_bits); !done) return done;
  if (auto done = socket->set_up(kInside); !done) return done;
  return socket->add_default_route(plan.gateway, kInside);
}

}  // namespace

Result<void> make_net_namespace(const NetNamespacePlan& plan) {
  if (auto made = make_folders(plan.path.substr(0, plan.path.rfind('/'))); !made) return made;
  UniqueFd file(::open(plan.path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0400));
  if (!file) return errno_error(errno, "create " + plan.path);
  if (auto made = in_own_thread([&] { return make_and_mount(plan.path); }); !made) return made;
  UniqueFd netns(::open(plan.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return errno_error(errno, "open " + plan.path);
  auto socket = RouteSocket::open();
  if (!socket) return socket.error();
  const int bridge = socket->link_index(plan.bridge);
  if (bridge == 0)
    return Error{Code::failed_precondition, "bridge " + plan.bridge + " is gone; restart the host plugin"};
  if (auto made = socket->add_veth(plan.veth, kInside, netns.get(), bridge); !made) return made;
  if (auto done = socket->set_up(plan.veth); !done) return done;
  return in_own_thread([&] { return configure_inside(netns.get(), plan); });
}

Result<void> remove_net_namespace(const std::string& path, const std::string& veth) {
  Result<void> outcome;
  auto socket = RouteSocket::open();
  if (!socket) return socket.error();
  if (auto done = socket->delete_link(veth); !done) outcome = done;
  if (auto done = unmount(path); !done) outcome = done;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) outcome = errno_error(errno, "remove " + path);
  return outcome;
}

}  // namespace flynn::host
