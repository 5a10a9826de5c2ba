// The plugin: lifecycle, flynn.router/1, and the thread that keeps HAProxy as the world should be.
#include <flynn/sdk/plugin.h>
#include <flynn/sdk/stream.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "haproxy_config.h"
#include "haproxy_process.h"
#include "haproxy_runtime.h"
#include "world.h"

namespace haproxy_router {
namespace {

using namespace flynn;
constexpr auto kWarmUp = std::chrono::seconds(3), kAnswers = std::chrono::seconds(5);
constexpr int kRetryMs = 200;

class HaproxyRouter : public Plugin {
 public:
  explicit HaproxyRouter(Host& table) : Plugin(table) {
    on("flynn.router/1", "Routes", [this](Call&) { return routes(); });
    on("flynn.router/1", "Stats", [this](Call&) { return stats(); });
    on("flynn.router/1", "Check", [this](Call& call) { return check(call.body); });
  }

  Result<void> configure(const json::object& config) override {
    if (mirror_) return Error{Code::restart_required, "takes effect by a swap"};
    program_ = string_or(config, "program", "/usr/sbin/haproxy");
    return {};
  }

  Result<void> start() override {
    auto info = host().info();
    if (!info) return info.error();
    // Two versions run at once in a swap: each has a folder of its own.
    run_dir_ = info->run_dir + "/" + std::to_string(info->generation);
    std::filesystem::create_directories(run_dir_);
    if (::access(program_.c_str(), X_OK) != 0)
      return Error{Code::failed_precondition, program_ + " is not there: install HAProxy, or set \"program\""};
    auto listening = host().listener("router.http");
    if (!listening) return listening.error().context("accept requests");
    listening_ = std::move(*listening);
    mirror_ = std::make_unique<StoreMirror>(
        host(), host(), "routes/http/",
        StoreMirrorHandler{[this](const RangeResult& all) { world_.replace_routes(all); },
                           [this](std::int64_t, const auto& events) { world_.change_routes(events); }});
    mirror_->start("haproxy.routes");
    watch_.start("haproxy.watch", [this](const StopSignal& stop) { follow_discovery(stop); });
    // A new version that knew nothing yet would answer 404.
    const StopSignal never;
    for (const auto end = Deadline::after(kWarmUp); !end.passed() && !knows_world();) never.wait(5);
    return write_files(lay_out_anew(world_.view(), {}));
  }

  Result<void> health() override {
    if (!knows_world()) return Error{Code::unavailable, "store and discovery have not told everything yet"};
    return {};
  }

  Result<void> activate() override {
    if (auto begun = begin(); !begun) return begun;
    keeper_.start("haproxy.keeper", [this](const StopSignal& stop) { keep(stop); });
    return {};
  }

  Result<void> quiesce() override {
    keeper_.stop();
    process_.finish();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    process_.finish();
    if (process_.wait(deadline)) return {};
    return Error{Code::deadline_exceeded, "connections were left; they are cut off"};
  }

  Result<void> stop(Deadline) override {
    keeper_.stop();
    process_.kill();
    watch_.stop();
    mirror_.reset();
    listening_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(run_dir_, ignored);
    return {};
  }

 private:
  bool knows_world() const {
    const auto view = world_.view();
    return view.routes_known && view.instances_known;
  }
  std::string config_file() const { return run_dir_ + "/haproxy.cfg"; }
  std::string map_file() const { return run_dir_ + "/routes.map"; }
  std::string socket() const { return run_dir_ + "/haproxy.sock"; }

  // The whole state as files: what an HAProxy that begins now reads.
  Result<void> write_files(Layout layout) {
    const auto view = world_.view();
    layout_ = std::move(layout);
    map_ = map_of(view, layout_);
    servers_ = servers_of(view, layout_);
    std::ofstream(map_file()) << map_text(map_);
    std::ofstream(config_file()) << config_text(view, layout_, run_dir_);
    if (auto words = complaint_about(program_, config_file(), listening_.get()); !words.empty())
      return Error{Code::failed_precondition, words};
    return {};
  }

  // A new HAProxy beside the one that runs, if one does, which then ends with its connections.
  Result<void> begin() {
    if (auto written = write_files(lay_out_anew(world_.view(), layout_.room)); !written) return written;
    std::error_code ignored;
    std::filesystem::remove(socket(), ignored);
    auto started = HaproxyProcess::start(program_, config_file(), listening_.get());
    if (!started) return started.error();
    for (const auto end = Deadline::after(kAnswers); !ask(socket(), "show version");) {
      if (end.passed() || started->wait(Deadline::after(std::chrono::milliseconds(10))))
        return Error{Code::unavailable, "HAProxy has not begun to answer (its words are in the host's standard error)"};
    }
    process_.finish();
    leaving_ = std::move(process_);
    process_ = std::move(*started);
    return {};
  }

  // Until it is told to end: what changed is passed on, and an HAProxy that died is started again.
  void keep(const StopSignal& stop) {
    while (!stop.asked()) {
      std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{world_.changed().fd(), POLLIN, 0},
                                    pollfd{process_.fd(), POLLIN, 0}};
      ::poll(entries.data(), entries.size(), -1);
      if (stop.asked()) return;
      Result<void> done;
      if (entries[2].revents != 0) {
        (void)process_.wait(Deadline::none());
        host().warn("haproxy_ended", {{"effect", "it is started again"}});
        done = begin();
      } else {
        world_.changed().clear();
        done = pass_on();
      }
      if (done) continue;
      host().warn("haproxy_not_changed", {{"error", done.error().message}});
      world_.changed().ask();
      stop.wait(kRetryMs);
    }
  }

  Result<void> pass_on() {
    const auto view = world_.view();
    const auto layout = lay_out(view, layout_);
    if (!layout) return begin();
    const auto map = map_of(view, *layout), servers = servers_of(view, *layout);
    for (const auto& command : changes(map_, map, servers_, servers, map_file())) {
      auto said = ask(socket(), command);
      if (!said) return said.error();
      // Silence, or the change in words, is assent; a refusal begins differently.
      if (said->find("No such") != std::string::npos || said->find("Unknown") != std::string::npos) return begin();
    }
    layout_ = *layout;
    map_ = map;
    servers_ = servers;
    return {};
  }

  void follow_discovery(const StopSignal& stop) {
    while (!stop.asked()) {
      auto reply = host().call("flynn.discovery/1", "Watch", {{"service", "*"}}, std::chrono::seconds(5));
      if (reply && !reply->fds.empty()) read_discovery(LineReader(std::move(reply->fds[0])), stop);
      stop.wait(kRetryMs);
    }
  }

  void read_discovery(LineReader lines, const StopSignal& stop) {
    Instances first;
    bool current = false;
    while (true) {
      auto status = lines.next(Deadline::none(), stop.fd());
      if (!status || *status != LineReader::Status::line) return;
      auto line = parse_json_object(lines.text());
      if (!line) return;
      const auto kind = string_or(*line, "kind"), service = string_or(*line, "service");
      const auto* instance = find_object(*line, "instance");
      if (kind == "current") {
        current = true;
        world_.replace_instances(first);
      } else if (instance != nullptr && (kind == "up" || kind == "update" || kind == "down")) {
        const auto id = string_or(*instance, "id");
        const auto addr = kind == "down" ? std::string() : string_or(*instance, "addr");
        if (current)
          world_.change_instance(service, id, addr);
        else
          first[service][id] = addr;
      }
    }
  }

  static json::array backends_of(const World::View& view, const std::string& service) {
    json::array all;
    if (const auto found = view.instances.find(service); found != view.instances.end())
      for (const auto& [id, addr] : found->second) all.emplace_back(addr);
    return all;
  }

  Result<Reply> routes() {
    const auto view = world_.view();
    json::array all;
    for (const auto& [id, route] : view.routes)
      all.push_back(json::object{{"id", id},
                                 {"domain", route.domain},
                                 {"path", route.path},
                                 {"service", route.service},
                                 {"backends", backends_of(view, route.service)}});
    return Reply{{{"routes", std::move(all)}}};
  }

  Result<Reply> check(const json::object& body) {
    auto domain = require_string(body, "domain");
    if (!domain) return domain.error();
    const auto path = with_slash(string_or(body, "path", "/"));
    const auto view = world_.view();
    const Route* best = nullptr;
    for (const auto& [id, route] : view.routes)
      if (route.domain == *domain && path.starts_with(with_slash(route.path)) &&
          (best == nullptr || with_slash(route.path).size() > with_slash(best->path).size()))
        best = &route;
    if (best == nullptr) return Reply{{{"route_id", nullptr}, {"backends", json::array{}}}};
    return Reply{{{"route_id", best->id}, {"backends", backends_of(view, best->service)}}};
  }

  // Of HAProxy's own line of the frontend: a CSV whose first line names the columns.
  Result<Reply> stats() {
    std::map<std::string, std::int64_t> figures;
    if (auto said = ask(socket(), "show stat"); said && process_.runs()) {
      std::istringstream lines(*said);
      std::string head, line;
      std::getline(lines, head);
      while (std::getline(lines, line))
        if (line.starts_with("web,FRONTEND,")) figures = columns_of(head.substr(2), line);
    }
    const auto of = [&](const char* column) { return figures[column]; };
    return Reply{{{"connections", of("scur")},
                  {"requests", of("req_tot")},
                  {"responses", json::object{{"1xx", of("hrsp_1xx")},
                                             {"2xx", of("hrsp_2xx")},
                                             {"3xx", of("hrsp_3xx")},
                                             {"4xx", of("hrsp_4xx")},
                                             {"5xx", of("hrsp_5xx")}}},
                  {"upstream_errors", of("econ")},
                  {"tunnels", 0},
                  {"bytes_in", of("bin")},
                  {"bytes_out", of("bout")}}};
  }

  static std::map<std::string, std::int64_t> columns_of(const std::string& head, const std::string& line) {
    std::map<std::string, std::int64_t> figures;
    std::istringstream names(head), values(line);
    for (std::string name, value; std::getline(names, name, ',') && std::getline(values, value, ',');)
      figures[name] = std::atoll(value.c_str());
    return figures;
  }

  std::string program_, run_dir_;
  World world_;
  std::unique_ptr<StoreMirror> mirror_;
  Worker watch_, keeper_;
  UniqueFd listening_;
  HaproxyProcess process_, leaving_;
  Layout layout_;
  std::map<std::string, std::string> map_, servers_;  // as HAProxy has them
};

}  // namespace
}  // namespace haproxy_router

using Router = haproxy_router::HaproxyRouter;
FLYNN_PLUGIN(Router)
