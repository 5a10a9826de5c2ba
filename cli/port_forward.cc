#include "port_forward.h"

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <list>
#include <mutex>

#include "flynn/sdk/worker.h"
#include "terminal.h"

namespace flynn::cli {
namespace {

using Poco::Net::StreamSocket;

constexpr std::size_t kReadSize = 32U << 10U;
constexpr std::size_t kConnectionsMax = 256;
const Poco::Timespan kSendTimeout(60, 0);

/// One connection, both ways, until either side ends.
class Relay {
 public:
  Relay(StreamSocket local, Upgraded remote) : local_(std::move(local)), remote_(std::move(remote.socket)) {
    early_ = std::move(remote.early);
    local_.setSendTimeout(kSendTimeout);
    remote_.setSendTimeout(kSendTimeout);
  }

  void run(const StopSignal& stop) {
    try {
      send(local_, early_.data(), early_.size());
      while (!stop.asked() && step(stop)) {
      }
    } catch (const Poco::Exception&) {
      // Either side has gone: so does the other.
    }
    local_.close();
    remote_.close();
  }

 private:
  bool step(const StopSignal& stop) {
    std::array<pollfd, 3> polled{{{stop.fd(), POLLIN, 0},
                                  {local_open_ ? local_.impl()->sockfd() : -1, POLLIN, 0},
                                  {remote_.impl()->sockfd(), POLLIN, 0}}};
    // TLS may hold whole records that poll can't see.
    const bool buffered = remote_.secure() && remote_.available() > 0;
    poll(polled.data(), polled.size(), buffered ? 0 : -1);
    if (polled[1].revents != 0 && !move(local_, remote_)) {
      local_open_ = false;
      if (remote_.secure()) return false;  // TLS has no half-close that the other side would understand
      remote_.shutdownSend();
    }
    return (!buffered && polled[2].revents == 0) || move(remote_, local_);
  }

  static bool move(StreamSocket& from, StreamSocket& to) {
    std::array<char, kReadSize> bytes;
    const int count = from.receiveBytes(bytes.data(), static_cast<int>(bytes.size()));
    if (count <= 0) return false;
    send(to, bytes.data(), static_cast<std::size_t>(count));
    return true;
  }

  static void send(StreamSocket& to, const char* bytes, std::size_t size) {
    while (size > 0) {
      const int sent = to.sendBytes(bytes, static_cast<int>(size));
      if (sent <= 0) throw Poco::IOException("send");
      bytes += sent;
      size -= static_cast<std::size_t>(sent);
    }
  }

  StreamSocket local_, remote_;
  std::string early_;
  bool local_open_ = true;
};

struct Connection {
  std::atomic<bool> done{false};
  Worker worker;
};

}  // namespace

Status run_port_forward(ControllerClient& client, const PortForward& wanted,
                        const std::function<void(std::uint16_t)>& listening,
                        const std::function<void(const Error&)>& failed) {
  SignalInbox signals;
  std::list<Connection> connections;
  std::mutex report;
  try {
    Poco::Net::ServerSocket server(Poco::Net::SocketAddress(wanted.address, wanted.local_port));
    listening(server.address().port());
    for (;;) {
      std::array<pollfd, 2> polled{{{signals.fd(), POLLIN, 0}, {server.impl()->sockfd(), POLLIN, 0}}};
      poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) {
        for (const int signal : signals.take())
          if (signal != SIGWINCH) return Done{};
      }
      if (polled[1].revents == 0) continue;
      StreamSocket local = server.acceptConnection();
      connections.remove_if([](const Connection& connection) { return connection.done.load(); });
      if (connections.size() >= kConnectionsMax) continue;  // its socket closes: the program that asked is told so
      Connection& connection = connections.emplace_back();
      connection.worker.start("port-forward", [&, local](const StopSignal& stop) {
        auto remote = ControllerClient(client.endpoint()).upgrade(wanted.path, "flynn-tcp/0");
        if (remote) {
          Relay(local, std::move(*remote)).run(stop);
        } else {
          const std::lock_guard lock(report);
          failed(remote.error());
        }
        connection.done = true;
      });
    }
  } catch (const Poco::Exception& error) {
    return failure("listen at " + wanted.address + ":" + std::to_string(wanted.local_port) + ": " + error.displayText(),
                   "Another program has that port: choose another one, or 0 for a free one.")
        .as(ErrorCode::kPortTaken);
  }
}

}  // namespace flynn::cli
