#include "admin_server.h"

#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "flynn/sdk/stream.h"

namespace flynn::core {
namespace {

constexpr std::size_t kRequestBytesMax = 4u << 20;
constexpr auto kWriteTimeout = std::chrono::seconds(10);

bool may_administer(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

// Who asks, for the audit log.
json::value peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return nullptr;
  json::object who{{"uid", peer.uid}, {"pid", peer.pid}};
  passwd user{};
  passwd* found = nullptr;
  std::array<char, 4096> words{};
  if (::getpwuid_r(peer.uid, &user, words.data(), words.size(), &found) == 0 && found != nullptr)
    who["user"] = user.pw_name;
  std::ifstream comm("/proc/" + std::to_string(peer.pid) + "/comm");
  std::string program;
  if (std::getline(comm, program)) who["program"] = program;
  return who;
}

// "root (pid 77)": as the kernel vouches for it.
std::string who_is(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return "operator";
  std::array<char, 1024> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(peer.uid, &entry, buffer.data(), buffer.size(), &found);
  const auto name = found == nullptr ? "uid " + std::to_string(peer.uid) : std::string(entry.pw_name);
  return name + " (pid " + std::to_string(peer.pid) + ")";
}

std::string line_of(const char* member, json::object document) {
  return json::serialize(json::object{{member, std::move(document)}}) + "\n";
}

json::object error_document(const Error& error) {
  return {{"code", code_name(error.code)}, {"message", error.message}};
}

}  // namespace

Result<void> AdminServer::start(const std::filesystem::path& socket) {
  path_ = socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.string().size() >= sizeof address.sun_path)
    return Error{Code::invalid_argument,
                 "admin socket " + socket.string() + ": the path is longer than the kernel allows (107 bytes)"};
  std::memcpy(address.sun_path, socket.c_str(), socket.string().size());
  std::error_code ignored;
  std::filesystem::create_directories(socket.parent_path(), ignored);
  std::filesystem::remove(socket, ignored);
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = ::umask(0177);
  const int bound = ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0 || ::listen(listener_.get(), kAdminClientsMax) != 0)
    return errno_error(errno, "admin socket " + socket.string());
  acceptor_.start("admin-accept", [this](const StopSignal& stop) { accept_clients(stop); });
  return {};
}

void AdminServer::stop() {
  acceptor_.stop();
  clients_.clear();
  if (!listener_) return;
  listener_.reset();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void AdminServer::forget_done_clients() {
  clients_.remove_if([](const auto& client) { return client->done.load(); });
}

void AdminServer::accept_clients(const StopSignal& stop) {
  while (true) {
    std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{listener_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), 1000);
    if (entries[0].revents != 0) return;
    forget_done_clients();
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    const bool full = clients_.size() >= kAdminClientsMax;
    if (full || !may_administer(fd.get())) {
      const Error why =
          full ? Error{Code::resource_exhausted, std::to_string(kAdminClientsMax) + " operators are connected already"}
               : Error{Code::permission_denied, "only root may administer this node"};
      (void)write_all(fd.get(), line_of("error", error_document(why)), Deadline::after(kWriteTimeout));
      continue;
    }
    auto client = std::make_unique<Client>();
    client->fd = std::move(fd);
    auto* raw = client.get();
    clients_.push_back(std::move(client));
    raw->worker.start("admin-client", [this, raw](const StopSignal& end) {
      serve(*raw, end);
      raw->done = true;
    });
  }
}

void AdminServer::serve(Client& client, const StopSignal& stop) {
  auto copy = duplicate(client.fd.get());
  if (!copy) return;
  const ActorScope actor(peer_of(client.fd.get()));
  LineReader reader(std::move(*copy), kRequestBytesMax);
  while (true) {
    auto status = reader.next(Deadline::none(), stop.fd());
    if (!status || *status != LineReader::Status::line) break;
    const auto text = answer(reader.text(), client.fd.get(), stop.fd());
    if (!write_all(client.fd.get(), text, Deadline::after(kWriteTimeout))) break;
  }
  client.fd.reset();
}

std::string AdminServer::answer(const std::string& line, int fd, int stop_fd) {
  auto request = parse_json_object(line);
  if (!request) return line_of("error", error_document(request.error()));
  auto method = require_string(*request, "method");
  if (!method) return line_of("error", error_document(method.error()));
  const auto* params = find_object(*request, "params");
  // A client that left does not stop what it has begun.
  AdminClient client;
  client.who = who_is(fd);
  client.fd = fd;
  client.stop_fd = stop_fd;
  client.progress = [fd](const json::object& document) {
    (void)write_all(fd, line_of("progress", document), Deadline::after(std::chrono::seconds(1)));
  };
  auto result = methods_.run(*method, params == nullptr ? json::object{} : *params, client);
  if (!result) return line_of("error", error_document(result.error()));
  return line_of("result", std::move(*result));
}

}  // namespace flynn::core
