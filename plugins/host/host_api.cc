#include "host_api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "active_job.h"
#include "api_access.h"
#include "api_answer.h"
#include "files.h"
#include "flynn/sdk/store.h"
#include "port_check.h"

namespace flynn::host {
namespace {

constexpr std::size_t kBodyBytesMax = 1u << 20;
constexpr int kHttpWorkers = 4;
constexpr std::size_t kPortsMax = 1000;  // that one request may ask about
constexpr std::uint16_t kDnsPort = 53;   // of discovery, on the bridge's address

http::ListenerOptions listener_options(std::function<std::optional<http::HttpResponse>(http::HttpRequest&)> refuse) {
  http::ListenerOptions options;
  options.before_body = std::move(refuse);
  options.name = "hostapi";
  options.workers = kHttpWorkers;
  options.request_bytes_max = kBodyBytesMax;
  return options;
}

// "http://ADDRESS:PORT" of the listening socket; the bridge's address in place of one that means all of them.
std::string url_of(int fd, const std::string& gateway) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET6) {
    const auto& wide = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &wide.sin6_addr, text, sizeof text);
    const auto host = IN6_IS_ADDR_UNSPECIFIED(&wide.sin6_addr) ? gateway : "[" + std::string(text) + "]";
    return "http://" + host + ":" + std::to_string(ntohs(wide.sin6_port));
  }
  const auto& narrow = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &narrow.sin_addr, text, sizeof text);
  const auto host = narrow.sin_addr.s_addr == htonl(INADDR_ANY) ? gateway : std::string(text);
  return "http://" + host + ":" + std::to_string(ntohs(narrow.sin_port));
}

json::object tell_volume(const Volume& volume, const std::string& host_id) {
  return {{"id", volume.id},    {"host_id", host_id},   {"type", "data"},
          {"state", "created"}, {"app", volume.app_id}, {"path", volume.path}};
}

struct AskedPort {
  std::uint16_t port = 0;
  std::string proto;
};

Result<std::vector<AskedPort>> asked_ports(const std::string& body) {
  auto document = parse_json_object(body);
  if (!document) return document.error();
  std::vector<AskedPort> ports;
  const auto* list = find_array(*document, "ports");
  if (list == nullptr) return ports;
  if (list->size() > kPortsMax)
    return Error{Code::invalid_argument, "ports has more than " + std::to_string(kPortsMax) + " entries"};
  for (const auto& entry : *list) {
    const auto* object = entry.if_object();
    const auto port = object == nullptr ? 0 : int_or(*object, "port");
    const auto proto = object == nullptr ? "" : string_or(*object, "proto", "tcp");
    if (port < 1 || port > 65535) return Error{Code::invalid_argument, "ports.port must be 1 to 65535"};
    if (proto != "tcp" && proto != "udp") return Error{Code::invalid_argument, "ports.proto must be tcp or udp"};
    ports.push_back({static_cast<std::uint16_t>(port), proto});
  }
  return ports;
}

// Of the original's routes those that have another way here, by how their paths begin.
struct NotBuilt {
  std::vector<std::string_view> path;
  const char* instead;
};

const std::vector<NotBuilt>& not_built_routes() {
  static const std::vector<NotBuilt> table{
      {{"host", "update"}, "the node is replaced part by part while it runs: flynn plugin swap"},
      {{"host", "pull"},
       "layers are blobs layers/<SHA-512/256>.squashfs of the blobstore, and fetched when a job needs them"},
      {{"host", "tags"}, "hosts have no tags yet"},
      {{"host", "discoverd"}, "discovery is a plugin of the node and needs no word of when it is up"},
      {{"host", "network"}, "the node makes the network of its jobs itself"},
      {{"storage", "providers"},
       "volumes are folders of this machine, made when a job of a release that declares them starts"},
      {{"storage", "volumes"},
       "volumes have no snapshots: back the app up with flynn export, a database with its own dump"},
      {{"sinks"}, "sinks are listed here; the controller keeps them"},
  };
  return table;
}

}  // namespace

struct HostApi::Route {
  std::string_view method;
  std::vector<std::string_view> path;  // "*": any one segment
  Response (HostApi::*function)(const Request&);

  bool fits(const std::vector<std::string>& segments) const {
    return std::equal(
        path.begin(), path.end(), segments.begin(), segments.end(),
        [](std::string_view wanted, const std::string& given) { return wanted == "*" || wanted == given; });
  }
};

const std::vector<HostApi::Route>& HostApi::routes() {
  static const std::vector<Route> table{
      {"GET", {"host", "status"}, &HostApi::status},
      {"GET", {"host", "jobs"}, &HostApi::list_jobs},
      {"GET", {"host", "jobs", "*"}, &HostApi::get_job},
      {"PUT", {"host", "jobs", "*"}, &HostApi::put_job},
      {"DELETE", {"host", "jobs", "*"}, &HostApi::stop_job},
      {"PUT", {"host", "jobs", "*", "signal", "*"}, &HostApi::signal_job},
      {"PUT", {"host", "jobs", "*", "discoverd-deregister"}, &HostApi::withdraw_job},
      {"POST", {"host", "resource-check"}, &HostApi::check_resources},
      {"POST", {"attach"}, &HostApi::attach},
      {"GET", {"storage", "volumes"}, &HostApi::list_volumes},
      {"GET", {"storage", "volumes", "*"}, &HostApi::get_volume},
      {"DELETE", {"storage", "volumes", "*"}, &HostApi::destroy_volume},
      {"GET", {"sinks"}, &HostApi::list_sinks},
  };
  return table;
}

HostApi::HostApi(Door& door, Log& log, Machine& machine, HostAgent& agent, const VolumeFolders& volumes,
                 HostApiOptions options)
    : door_(door),
      log_(log),
      machine_(machine),
      agent_(agent),
      volumes_(volumes),
      options_(std::move(options)),
      host_id_(machine.options().host_id),
      pump_("hostapi"),
      events_([this] { pump_.wake(); }),
      listener_(
          listener_options([this](http::HttpRequest& request) -> std::optional<Response> {
            if (request.method == "GET") return std::nullopt;
            return refuse(request);  // before the body: nobody unknown costs more than a head
          }),
          [this](http::HttpRequest& request) { return handle(request); }, pump_) {
  agent_.observe([this](const char* event, const JobUnit& unit) {
    if (!events_.has_listeners()) return;
    events_.publish(unit.spec.id,
                    json::serialize(json::object{
                        {"event", event}, {"job_id", wire_job_id(host_id_, unit.spec.id)}, {"job", tell(unit)}}));
  });
}

Result<void> HostApi::prepare(UniqueFd listening) {
  url_ = url_of(listening.get(), machine_.gateway());
  if (auto problem = pump_.start(); !problem.empty()) return Error{Code::internal, problem};
  if (auto problem = listener_.prepare(std::move(listening)); !problem.empty()) return Error{Code::internal, problem};
  return {};
}

void HostApi::drain(Deadline deadline) {
  events_.end_all();
  const auto left = std::min<std::chrono::nanoseconds>(deadline.left(), std::chrono::hours(1));
  pump_.wait_empty(std::chrono::steady_clock::now() + left);
}

void HostApi::stop() {
  listener_.stop();
  pump_.stop();
}

std::optional<http::HttpResponse> HostApi::refuse(const Request& request) {
  switch (admit(request, options_.keys, options_.trust_own_process)) {
    case Admission::browser:
      return failure(403, "forbidden", "the host's API is not for pages in a browser");
    case Admission::stranger:
      return Response{401, "", "", {}, nullptr};
    case Admission::admitted:
      break;
  }
  return std::nullopt;
}

http::HttpResponse HostApi::handle(const http::HttpRequest& request) {
  if (auto refused = refuse(request)) return std::move(*refused);
  auto response = route(request);
  if (request.method != "GET") {
    std::string path;
    for (const auto& segment : request.segments) path += "/" + segment;
    log_.info("host_http",
              {{"method", request.method}, {"path", path}, {"status", response.stream ? 101 : response.status}});
  }
  return response;
}

http::HttpResponse HostApi::route(const Request& request) {
  bool known_path = false;
  for (const auto& one : routes()) {
    if (!one.fits(request.segments)) continue;
    if (one.method == request.method) return (this->*one.function)(request);
    known_path = true;
  }
  for (const auto& one : not_built_routes()) {
    const auto& path = request.segments;
    if (path.size() < one.path.size() || !std::equal(one.path.begin(), one.path.end(), path.begin())) continue;
    return failure(501, "unimplemented", "this host does not do that: " + std::string(one.instead));
  }
  if (known_path) return failure(405, "validation_error", "the method " + request.method + " does not fit this path");
  return failure(404, "object_not_found", "there is no such path");
}

http::HttpResponse HostApi::status(const Request&) {
  const auto gateway = machine_.gateway();
  auto mtu = read_file("/sys/class/net/" + machine_.options().bridge + "/mtu", 64).value_or("");
  return json_answer(json::object{{"id", host_id_},
                                  {"tags", json::object{}},
                                  {"pid", ::getpid()},
                                  {"url", url_},
                                  {"discoverd", json::object{{"dns", gateway + ":" + std::to_string(kDnsPort)}}},
                                  {"network", json::object{{"subnet", machine_.options().subnet},
                                                           {"mtu", std::atoi(mtu.c_str())},
                                                           {"resolvers", json::array{gateway}}}},
                                  {"version", options_.version},
                                  {"flags", json::array{}}});
}

http::HttpResponse HostApi::check_resources(const Request& request) {
  auto ports = asked_ports(request.body);
  if (!ports) return failure(ports.error());
  json::array taken;
  for (const auto& asked : *ports) {
    auto is_free = check_port_is_free(asked.port, asked.proto);
    if (is_free) continue;
    if (is_free.error().code != Code::conflict)
      return failure(is_free.error().context("port " + std::to_string(asked.port)));
    taken.push_back({{"port", asked.port}, {"proto", asked.proto}});
  }
  if (taken.empty()) return json_answer(json::object{});
  return failure(409, "conflict", "Conflicting resources found", false, std::move(taken));
}

http::HttpResponse HostApi::list_volumes(const Request&) {
  json::array list;
  for (const auto& volume : volumes_.list()) list.push_back(tell_volume(volume, host_id_));
  return json_answer(list);
}

http::HttpResponse HostApi::get_volume(const Request& request) {
  auto volume = volumes_.find(request.segments[2]);
  return volume ? json_answer(tell_volume(*volume, host_id_)) : failure(volume.error());
}

http::HttpResponse HostApi::destroy_volume(const Request& request) {
  const auto pass = agent_.enter();  // whether a job uses it, only the instance in force knows
  if (!pass) return failure(HostAgent::replaced());
  auto destroyed = volumes_.destroy(request.segments[2]);
  return destroyed ? json_answer(json::object{}) : failure(destroyed.error());
}

http::HttpResponse HostApi::list_sinks(const Request&) {
  auto found = StoreClient(door_).range("sinks/");
  if (!found) return failure(found.error().context("read the sinks"));
  json::array list;
  for (auto& kv : found->kvs)
    if (auto* sink = kv.value.if_object()) {
      sink->erase("v");
      list.push_back(std::move(*sink));
    }
  return json_answer(list);
}

}  // namespace flynn::host
