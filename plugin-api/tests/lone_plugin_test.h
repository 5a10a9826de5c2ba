// LonePlugin: the plugin that is linked into a test, through its ABI, in a host that has nothing but this instance.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "flynn/plugin.h"
#include "flynn/sdk/host.h"

extern "C" const flynn_plugin* flynn_plugin_entry_1(void);

namespace flynn {

/// A socket as the node lends it, on a free port of the loopback.
inline UniqueFd lent_socket(std::uint16_t& port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(socket.get(), 64), 0);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return socket;
}

/// Several may live at once, as in a swap. Borrows `others`, which answers its calls, and the listening sockets.
/// Thread: call [any]; else one at a time.
class LonePlugin {
 public:
  LonePlugin(Door& others, std::string data_dir, std::map<std::string, int> listeners = {})
      : others_(others), data_dir_(std::move(data_dir)), listeners_(std::move(listeners)) {
    host_.struct_size = sizeof host_;
    host_.abi_major = FLYNN_ABI_MAJOR;
    host_.abi_minor = FLYNN_ABI_MINOR;
    host_.ctx = this;
    host_.call = on_call;
    host_.log = [](const flynn_host*, std::int32_t, flynn_bytes, flynn_bytes) {};
    host_.listener = on_listener;
    host_.info = on_info;
    flynn_error error{};
    error.struct_size = sizeof error;
    EXPECT_EQ(flynn_plugin_entry_1()->create(&host_, &self_, &vt_, &error), FLYNN_OK);
  }
  ~LonePlugin() {
    EXPECT_TRUE(stop());
    vt_->destroy(self_);
  }
  LonePlugin(const LonePlugin&) = delete;
  LonePlugin& operator=(const LonePlugin&) = delete;

  Result<void> configure(const json::object& config = {}) {
    const auto text = json::serialize(config);
    return tell([&](flynn_error* error) { return vt_->configure(self_, bytes(text), error); });
  }
  Result<void> start() { return simple(vt_->start); }
  Result<void> activate() { return simple(vt_->activate); }
  Result<void> quiesce() { return simple(vt_->quiesce); }
  Result<void> resume() { return simple(vt_->resume); }
  Result<void> stop() {
    return tell([&](flynn_error* error) { return vt_->stop(self_, Deadline::after(10s).ns, error); });
  }

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body = {}) {
    const auto text = json::serialize(body);
    flynn_call request{};
    request.struct_size = sizeof request;
    request.interface = bytes(interface);
    request.method = bytes(method);
    request.body = bytes(text);
    request.deadline_ns = Deadline::after(20s).ns;
    Answer answer;
    const auto status = vt_->handle(self_, &request, &answer.table);
    if (status != FLYNN_OK) return Error{static_cast<Code>(status), answer.error};
    auto document = parse_json_object(answer.body);
    if (!document) return document.error();
    Reply reply(std::move(*document));
    reply.fds = std::move(answer.fds);
    return reply;
  }

 private:
  struct Answer {
    Answer() {
      table.struct_size = sizeof table;
      table.ctx = this;
      table.set_body = [](flynn_reply* reply, flynn_bytes json) { of(reply).body.assign(json.data, json.size); };
      table.add_fd = [](flynn_reply* reply, int fd) { of(reply).fds.emplace_back(fd); };
      table.set_error = [](flynn_reply* reply, flynn_status, flynn_bytes message, flynn_bytes) {
        of(reply).error.assign(message.data, message.size);
      };
    }
    static Answer& of(flynn_reply* reply) { return *static_cast<Answer*>(reply->ctx); }
    flynn_reply table{};
    std::string body, error;
    std::vector<UniqueFd> fds;
  };

  static flynn_bytes bytes(std::string_view text) { return {text.data(), text.size()}; }
  static std::string_view view(flynn_bytes text) { return {text.data, text.size}; }
  static LonePlugin& of(const flynn_host* host) { return *static_cast<LonePlugin*>(host->ctx); }

  template <typename Function>
  Result<void> tell(Function function) {
    flynn_error error{};
    error.struct_size = sizeof error;
    const flynn_status status = function(&error);
    if (status == FLYNN_OK) return {};
    return Error{static_cast<Code>(status), std::string(error.message, error.message_size)};
  }
  Result<void> simple(flynn_status (*function)(void*, flynn_error*)) {
    return tell([&](flynn_error* error) { return function(self_, error); });
  }

  static flynn_status on_call(const flynn_host* host, const flynn_call* request, flynn_reply* reply) {
    auto body = parse_json_object(view(request->body));
    if (!body) return FLYNN_E_INVALID_ARGUMENT;
    const std::vector<int> fds(request->fds, request->fds + request->fd_count);
    auto answer = of(host).others_.call(view(request->interface), view(request->method), *body,
                                        Deadline{request->deadline_ns}, fds);
    if (!answer) {
      const auto status = static_cast<flynn_status>(answer.error().code);
      reply->set_error(reply, status, bytes(answer.error().message), {});
      return status;
    }
    for (auto& fd : answer->fds) reply->add_fd(reply, fd.release());
    reply->set_body(reply, bytes(json::serialize(answer->body)));
    return FLYNN_OK;
  }
  static flynn_status on_listener(const flynn_host* host, flynn_bytes name, int* fd, flynn_error*) {
    const auto found = of(host).listeners_.find(std::string(view(name)));
    if (found == of(host).listeners_.end()) return FLYNN_E_NOT_FOUND;
    *fd = ::fcntl(found->second, F_DUPFD_CLOEXEC, 0);
    return *fd < 0 ? FLYNN_E_INTERNAL : FLYNN_OK;
  }
  static void on_info(const flynn_host* host, flynn_reply* reply) {
    const auto& folder = of(host).data_dir_;
    reply->set_body(reply, bytes(json::serialize(json::object{{"slot", "lone"},
                                                              {"version", "0"},
                                                              {"node", "node"},
                                                              {"data_dir", folder},
                                                              {"run_dir", folder},
                                                              {"generation", 1}})));
  }

  Door& others_;
  const std::string data_dir_;
  const std::map<std::string, int> listeners_;
  flynn_host host_{};
  void* self_ = nullptr;
  const flynn_instance_vt* vt_ = nullptr;
};

}  // namespace flynn
