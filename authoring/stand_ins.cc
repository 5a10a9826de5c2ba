#include "stand_ins.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "flynn/sdk/stream.h"
#include "http_exchange.h"
#include "process/child.h"

namespace flynn::authoring {
namespace {

namespace fs = std::filesystem;

constexpr auto kPatience = std::chrono::seconds(10), kPackTime = std::chrono::seconds(60);
constexpr const char* kBusybox = "/usr/bin/busybox";
constexpr const char* kMksquashfs = "/usr/bin/mksquashfs";

Result<void> lay_out_root(const std::string& root) {
  std::error_code failure;
  for (const char* folder : {"/bin", "/app", "/etc", "/tmp", "/dev", "/proc", "/sys", "/data"})
    fs::create_directories(root + folder, failure);
  fs::copy_file(kBusybox, root + "/bin/busybox", failure);
  fs::create_symlink("busybox", root + "/bin/sh", failure);
  fs::permissions(root, fs::perms(0755), failure);
  if (failure) return Error{Code::internal, "lay out " + root + ": " + failure.message()};
  return {};
}

Result<UniqueFd> packed(const std::string& folder) {
  const auto root = folder + "/root", file = folder + "/root.squashfs";
  if (auto laid = lay_out_root(root); !laid) return laid.error();
  auto child = process::Child::start({kMksquashfs, root, file, "-all-root", "-quiet", "-no-progress"}, {});
  if (!child) return child.error();
  auto status = child->wait(Deadline::after(kPackTime));
  if (!status) return status.error().context("pack a layer");
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (*status != 0 || !fd) return Error{Code::internal, "mksquashfs made no layer of " + root};
  return fd;
}

}  // namespace

Result<std::unique_ptr<EchoBackend>> EchoBackend::start(const std::string& name) {
  std::unique_ptr<EchoBackend> backend(new EchoBackend(name));
  auto& fd = backend->listening_;
  fd = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 64) != 0)
    return errno_error(errno, "listen as the backend " + name);
  backend->worker_.start("echo-backend", [raw = backend.get()](const StopSignal& stop) { raw->serve(stop); });
  return backend;
}

std::string EchoBackend::address() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

void EchoBackend::serve(const StopSignal& stop) {
  while (!stop.asked()) {
    std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{listening_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), -1);
    const UniqueFd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client && !stop.asked()) answer(client.get());
  }
}

void EchoBackend::answer(int fd) const {
  auto request = read_http(fd, BodyEnd::at_head, Deadline::after(kPatience));
  if (!request) return;  // a probe that only connects
  const auto& line = request->first_line;
  const auto first = line.find(' '), last = line.rfind(' ');
  if (first == std::string::npos || last <= first) return;
  json::object headers;
  for (const auto& [name, value] : request->headers) headers[name] = value;
  const auto body = json::serialize(json::object{{"backend", name_},
                                                 {"method", line.substr(0, first)},
                                                 {"target", line.substr(first + 1, last - first - 1)},
                                                 {"headers", std::move(headers)},
                                                 {"body", request->body}});
  (void)write_all(fd,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body,
                  Deadline::after(kPatience));
}

Result<json::object> given_layer(TrialNode& trial) {
  for (const char* program : {kBusybox, kMksquashfs})
    if (::access(program, X_OK) != 0)
      return Error{Code::failed_precondition,
                   std::string("this machine has no ") + program + ", of which a job is made"};
  std::string folder = (fs::temp_directory_path() / "flynn-layer.XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return errno_error(errno, "make a folder for a layer");
  auto file = packed(folder);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  if (!file) return file.error();
  // The blobstore tells the digest that the name is made of.
  json::object layer;
  std::string name = "check/layer";
  for (int put = 0; put < 2; ++put) {
    ::lseek(file->get(), 0, SEEK_SET);
    auto reply =
        trial.call("flynn.blobstore/1", "Put", json::serialize(json::object{{"name", name}}), {file->get()}, kPackTime);
    if (!reply) return Error{Code::failed_precondition, "keep a layer: " + reply.error().message};
    layer = {{"id", string_or(reply->body, "sha512_256")}, {"length", int_or(reply->body, "size")}};
    name = "layers/" + string_or(layer, "id") + ".squashfs";
  }
  return layer;
}

}  // namespace flynn::authoring
