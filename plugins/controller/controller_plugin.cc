/// flynn.controller/1: the component as a plugin.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <memory>

#include "access_check.h"
#include "cluster_domain.h"
#include "controller.h"
#include "flynn/sdk/plugin.h"

namespace flynn::controller {
namespace {

/// "address:port" of the listening socket; `host` in place of an address that means all of them.
std::string address_of(int fd, const std::string& host) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sin_family != AF_INET) return {};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  std::string ip = address.sin_addr.s_addr == htonl(INADDR_ANY) ? host : text;
  return ip + ":" + std::to_string(ntohs(address.sin_port));
}

std::chrono::steady_clock::time_point point_of(Deadline deadline) {
  return std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(deadline.left(), std::chrono::hours(1));
}

class ControllerPlugin : public Plugin {
 public:
  explicit ControllerPlugin(Host& host) : Plugin(host) {
    on("flynn.controller/1", "Request", [this](Call& call) { return request(call); });
    on("flynn.controller/1", "Authorize", [this](Call& call) -> Result<Reply> {
      if (controller_ == nullptr) return Error{Code::unavailable, "the controller has not started"};
      return authorize(call);
    });
    on("flynn.controller/1", "Status", [this](Call&) -> Result<Reply> {
      if (controller_ == nullptr) return Error{Code::unavailable, "the controller has not started"};
      auto status = controller_->status();
      if (!status) return status.error();
      return Reply{std::move(*status)};
    });
  }

  Result<void> configure(const json::object& config) override {
    if (controller_ != nullptr) return Error{Code::restart_required, "takes effect when the plugin is swapped"};
    settings_.configured_domain = lower(text_of(config, "domain", "flynn.localhost"));
    settings_.auth_keys = strings_or_empty(config, "auth_keys");
    settings_.stacks_file = text_of(config, "stacks_file");
    settings_.layers_dir = text_of(config, "layers_dir");
    settings_.ca_cert_file = text_of(config, "ca_cert_file");
    settings_.events_max = number_of(config, "events_max", 100'000);
    settings_.tcp_port_first = number_of(config, "tcp_port_first", settings_.tcp_port_first);
    settings_.tcp_port_last = number_of(config, "tcp_port_last", settings_.tcp_port_last);
    settings_.process_memory_bytes = number_of(config, "process_memory_bytes", 1LL << 30);
    advertise_host_ = text_of(config, "advertise_address", "127.0.0.1");
    listener_.workers = static_cast<int>(number_of(config, "http_workers", 12));
    auto info = host().info();
    if (!info) return info.error();
    settings_.slot = info->slot;
    settings_.data_dir = info->data_dir;
    // In a swap the other instance works on while we make threads and watch: nothing is changed before activate().
    return make_controller();
  }

  Result<void> start() override { return use_key_file(); }

  Result<void> health() override {
    if (controller_ == nullptr) return Error{Code::unavailable, "not configured"};
    return {};
  }

  Result<void> activate() override { return controller_->activate(); }

  Result<void> quiesce() override {
    controller_->quiesce();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    controller_->drain(point_of(deadline));
    return {};
  }

  Result<void> stop(Deadline) override {
    controller_.reset();
    return {};
  }

 private:
  std::string key_file() const { return settings_.data_dir + "/auth_key"; }

  Result<void> use_key_file() {
    if (!settings_.auth_keys.empty()) return {};
    auto used = controller_->context().root_keys.use_file(key_file());
    return used ? used : used.error().context("the key of the API");
  }

  Result<void> make_controller() {
    auto listening = host().listener("controller.api");
    if (!listening) return listening.error().context("controller.api");
    settings_.advertise = address_of(listening->get(), advertise_host_);
    auto controller = std::make_unique<Controller>(host(), host(), settings_, listener_);
    if (auto started = controller->start(); !started) return started;
    if (auto prepared = controller->prepare(std::move(*listening)); !prepared) return prepared;
    controller_ = std::move(controller);
    // At the first start of all there is none yet, and start() makes it; else it is read before anybody waits.
    return std::filesystem::exists(key_file()) ? use_key_file() : Result<void>();
  }
  Result<Reply> authorize(const Call& call) {
    Context& context = controller_->context();
    auto who = identify(context.store, context.root_keys, text_of(call.body, "authorization"));
    if (!who) return Error{Code::unavailable, who.error().message};
    json::object answer{{"allowed", false}, {"known", who->has_value()}};
    if (!*who) return Reply{std::move(answer)};
    std::string method = "PUSH", path = text_of(call.body, "path");
    if (path.empty()) {
      const std::string app = text_of(call.body, "app");
      path = "/apps/" + app;
      answer["allowed"] = may_change_app(context, **who, app);
    } else {
      HttpRequest wanted;
      wanted.method = method = text_of(call.body, "method", "GET");
      if (!parse_target(path, wanted)) return Error{Code::invalid_argument, "path is no absolute path"};
      Verdict bad = controller_->check(**who, wanted);
      answer["allowed"] = !bad;
      if (bad) answer["reason"] = bad->message;
    }
    auto line = access_line(**who, method, path, answer["allowed"].as_bool() ? 200 : 403);
    if (auto noted = context.audit.append(std::move(line)); !noted)
      host().error("access_not_logged", {{"key", (*who)->id}, {"error", noted.error().message}});
    return Reply{std::move(answer)};
  }

  Result<Reply> request(Call& call) {
    if (controller_ == nullptr) return Error{Code::unavailable, "the controller has not started"};
    HttpRequest request;
    request.method = text_of(call.body, "method", "GET");
    request.accept = request.content_type = "application/json";
    request.streams = false;
    if (!parse_target(text_of(call.body, "path"), request))
      return Error{Code::invalid_argument, "path is no absolute path"};
    if (const json::value* body = member(call.body, "body")) request.body = json::serialize(*body);
    HttpResponse response = controller_->dispatch(request);
    if (response.status == 501) return Error{Code::unimplemented, "streams and upgrades need HTTP"};
    json::value body = nullptr;
    if (!response.body.empty()) {
      auto parsed = parse_json(response.body);
      body = parsed ? std::move(*parsed) : json::value(response.body);
    }
    return Reply{json::object{{"status", response.status}, {"body", std::move(body)}}};
  }

  Settings settings_;
  ListenerOptions listener_;
  std::string advertise_host_ = "127.0.0.1";
  std::unique_ptr<Controller> controller_;
};

}  // namespace
}  // namespace flynn::controller

FLYNN_PLUGIN(flynn::controller::ControllerPlugin)
