#include "wire.h"

#include <openssl/evp.h>

#include <array>

#include "http/sse.h"

namespace flynn::discovery {
namespace {

using http::HttpRequest;
using http::HttpResponse;

// Three heartbeats of a client fit in (it sends one every 3 to 5 s).
constexpr std::chrono::milliseconds kTtl{10'000};

HttpResponse json_answer(const json::value& body, int status = 200) {
  return {status, "application/json; charset=utf-8", json::serialize(body), {}, nullptr};
}

HttpResponse empty() { return {200, "", "", {}, nullptr}; }

// Shape and codes: what Flynn's clients tell apart.
HttpResponse failure(int status, const char* code, const std::string& message, bool retry = false) {
  return json_answer(json::object{{"code", code}, {"message", message}, {"retry", retry}}, status);
}

HttpResponse failure(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return failure(404, "object_not_found", error.message);
    case Code::already_exists:
      return failure(409, "object_exists", error.message);
    case Code::conflict:
      return failure(412, "precondition_failed", error.message);
    case Code::invalid_argument:
      return failure(400, "validation_error", error.message);
    case Code::unavailable:
    case Code::deadline_exceeded:
      return failure(503, "service_unavailable", error.message, true);
    default:
      return failure(500, "unknown_error", error.message);
  }
}

HttpResponse unknown_service(const std::string& name) {
  return failure(404, "object_not_found", "service \"" + name + "\" not found");
}

bool wants_stream(const HttpRequest& request) { return request.accept.find("text/event-stream") != std::string::npos; }

json::object wire_form(const Instance& instance) {
  return {{"id", instance.id},
          {"addr", instance.addr},
          {"proto", instance.proto},
          {"meta", instance.meta},
          {"index", instance.index}};
}

json::object wire_form(const json::object& instance) {
  json::object out;
  for (const char* member : {"id", "addr", "proto", "meta", "index"})
    if (const auto* value = instance.if_contains(member)) out[member] = *value;
  return out;
}

// Lines of the contract to events of the wire; those whose kind is not in `kinds` are left out.
class EventWriter {
 public:
  EventWriter(std::string service, std::string_view kinds) : service_(std::move(service)), kinds_(kinds) {}

  void operator()(std::string_view chunk, std::string& out) {
    rest_ += chunk;
    std::size_t end = 0;
    for (std::size_t begin = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
      write(rest_.substr(begin, end - begin), out);
    rest_.erase(0, rest_.rfind('\n') == std::string::npos ? 0 : rest_.rfind('\n') + 1);
  }

 private:
  void write(const std::string& line, std::string& out) const {
    auto told = parse_json_object(line);
    if (!told) return;
    const auto kind = string_or(*told, "kind");
    if (kinds_.find(kind) == std::string_view::npos) return;
    json::object event{{"service", service_}, {"kind", kind}};
    if (const auto* instance = find_object(*told, "instance")) event["instance"] = wire_form(*instance);
    if (kind == "service_meta")
      event["service_meta"] = json::object{{"data", told->at("meta")}, {"index", told->at("index")}};
    out += http::sse_data(json::serialize(event));
  }

  std::string service_, rest_;
  std::string_view kinds_;
};

constexpr std::string_view kAllKinds = "up update down leader current service_meta";
constexpr std::string_view kInstanceKinds = "up update down current";
constexpr std::string_view kLeaderKinds = "leader current";

http::ListenerOptions listener_options() {
  http::ListenerOptions options;
  options.name = "disc";
  options.workers = 4;
  return options;
}

Result<json::object> body_of(const HttpRequest& request) {
  if (request.body.empty()) return json::object{};
  return parse_json_object(request.body);
}

}  // namespace

std::string instance_id(const std::string& proto, const std::string& addr) {
  const std::string text = proto + "-" + addr;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  ::EVP_Digest(text.data(), text.size(), digest.data(), &size, ::EVP_md5(), nullptr);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += kHex[digest.at(i) >> 4];
    out += kHex[digest.at(i) & 15];
  }
  return out;
}

Wire::Wire(Registration& registration, Registry& registry)
    : registration_(registration),
      registry_(registry),
      pump_("disc"),
      listener_(
          listener_options(), [this](HttpRequest& request) { return handle(request); }, pump_) {}

Result<void> Wire::prepare(UniqueFd listening, std::string url) {
  url_ = std::move(url);
  if (auto problem = pump_.start(); !problem.empty()) return Error{Code::internal, problem};
  if (auto problem = listener_.prepare(std::move(listening)); !problem.empty()) return Error{Code::internal, problem};
  return {};
}

void Wire::stop() {
  listener_.stop();
  pump_.stop();
}

HttpResponse Wire::handle(const HttpRequest& request) {
  auto response = route(request);
  // The original sends one pair and its clients read the other.
  for (const char* name : {"Discoverd-Peers", "Discoverd-Current-Peers"}) response.headers.emplace_back(name, url_);
  return response;
}

HttpResponse Wire::route(const HttpRequest& request) {
  const auto& path = request.segments;
  if (path.size() == 1 && path[0] == "ping" && request.method == "GET") return empty();
  if (path.size() == 2 && path[0] == "raft") return raft(request);
  if (path.size() >= 2 && path[0] == "services") {
    if (path.size() == 2) return service(request, path[1]);
    if (path.size() == 3 && path[2] == "instances") return instances(request, path[1]);
    if (path.size() == 4 && path[2] == "instances") return instance(request, path[1], path[3]);
    if (path.size() == 3 && path[2] == "leader") return leader(request, path[1]);
    if (path.size() == 3 && path[2] == "meta") return meta(request, path[1]);
  }
  return failure(404, "object_not_found", "there is no such path");
}

// One node keeps the state: it is the only peer and leads.
HttpResponse Wire::raft(const HttpRequest& request) {
  if (request.method != "GET") return failure(400, "validation_error", "this node's store has no peers to change");
  if (request.segments[1] == "leader") return json_answer(json::object{{"host", url_}});
  if (request.segments[1] == "peers") return json_answer(json::array{url_});
  return failure(404, "object_not_found", "there is no such path");
}

HttpResponse Wire::watch(const std::string& name, std::string_view kinds) {
  if (auto checked = check_service(name); !checked) return failure(checked.error());
  if (auto read = registry_.wait_read(Deadline::after(kReadMax)); !read) return failure(read.error());
  auto lines = registry_.watch(name);
  if (!lines) return failure(lines.error());
  HttpResponse response;
  response.stream = std::make_unique<http::StreamStart>();
  response.stream->head = http::stream_head(http::kSseType);
  response.stream->source = std::move(*lines);
  response.stream->transform = EventWriter(name, kinds);
  response.stream->keep_alive = true;
  return response;
}

HttpResponse Wire::service(const HttpRequest& request, const std::string& name) {
  if (request.method == "GET") return watch(name, kAllKinds);
  if (request.method == "PUT") {
    auto body = body_of(request);
    if (!body) return failure(400, "syntax_error", body.error().message);
    const auto type = string_or(*body, "leader_type");
    auto made = registration_.make_service(name, type.empty() ? "oldest" : type);
    return made ? empty() : failure(made.error());
  }
  if (request.method == "DELETE") {
    auto removed = registration_.remove_service(name);
    return removed ? empty() : failure(removed.error());
  }
  return failure(405, "validation_error", "the method " + request.method + " does not fit a service");
}

HttpResponse Wire::instances(const HttpRequest& request, const std::string& name) {
  if (request.method != "GET") return failure(405, "validation_error", "instances are only listed here");
  if (wants_stream(request)) return watch(name, kInstanceKinds);
  auto view = registration_.view(name);
  if (!view) return failure(view.error());
  if (!view->known) return unknown_service(name);
  json::array list;
  for (const auto& one : view->instances) list.push_back(wire_form(one));
  return json_answer(list);
}

// The client has no lease, it only says again that it lives. What is forgotten here, by a swap say, is registered anew
// and keeps its index.
Result<void> Wire::heartbeat(const NewInstance& instance) {
  const auto key = instance_key(instance.service, instance.id);
  const auto told = json::serialize(json::object{{"proto", instance.proto}, {"meta", instance.meta}});
  std::string lease;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = leases_.find(key); found != leases_.end() && found->second.first == told)
      lease = found->second.second;
  }
  if (!lease.empty()) {
    auto renewed = registration_.renew(instance.service, instance.id, lease);
    if (renewed) return {};
    if (renewed.error().code != Code::not_found) return renewed;
  }
  auto added = registration_.add(instance);
  if (!added) return added.error();
  const std::lock_guard lock(mutex_);
  leases_[key] = {told, added->lease};
  return {};
}

HttpResponse Wire::instance(const HttpRequest& request, const std::string& name, const std::string& id) {
  if (request.method == "DELETE") {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = leases_.find(instance_key(name, id)); found != leases_.end()) leases_.erase(found);
    }
    auto removed = registration_.remove(name, id);
    return removed ? empty() : failure(removed.error());
  }
  if (request.method != "PUT") return failure(405, "validation_error", "an instance is put or deleted");
  auto body = body_of(request);
  if (!body) return failure(400, "syntax_error", body.error().message);
  NewInstance wanted;
  wanted.service = name;
  wanted.id = string_or(*body, "id");
  wanted.addr = string_or(*body, "addr");
  wanted.proto = string_or(*body, "proto");
  wanted.ttl = kTtl;
  if (const auto* given = find_object(*body, "meta")) wanted.meta = *given;
  if (wanted.proto.empty()) return failure(400, "validation_error", "proto must be set");
  if (wanted.id != id || id != instance_id(wanted.proto, wanted.addr))
    return failure(400, "validation_error", "id must be the hex MD5 of \"" + wanted.proto + "-" + wanted.addr + "\"");
  auto view = registration_.view(name);
  if (!view) return failure(view.error());
  if (!view->known) return unknown_service(name);
  auto told = heartbeat(wanted);
  return told ? empty() : failure(told.error());
}

HttpResponse Wire::leader(const HttpRequest& request, const std::string& name) {
  if (request.method == "GET" && wants_stream(request)) return watch(name, kLeaderKinds);
  auto view = registration_.view(name);
  if (!view) return failure(view.error());
  if (request.method == "GET") {
    for (const auto& one : view->instances)
      if (one.id == view->leader) return json_answer(wire_form(one));
    return failure(404, "object_not_found", "service \"" + name + "\" has no leader");
  }
  if (request.method != "PUT") return failure(405, "validation_error", "a leader is read or put");
  if (!view->known) return unknown_service(name);
  if (!view->manual)
    return failure(400, "validation_error", "service \"" + name + "\" does not have a manual leader: its oldest leads");
  auto body = body_of(request);
  if (!body) return failure(400, "syntax_error", body.error().message);
  auto set = registration_.set_leader(name, string_or(*body, "id"));
  return set ? empty() : failure(set.error());
}

HttpResponse Wire::meta(const HttpRequest& request, const std::string& name) {
  if (request.method == "GET") {
    auto found = registration_.meta(name);
    if (!found) return failure(found.error());
    if (found->index == 0) return failure(404, "object_not_found", "service \"" + name + "\" has no metadata");
    return json_answer(json::object{{"data", found->meta}, {"index", found->index}});
  }
  if (request.method != "PUT") return failure(405, "validation_error", "metadata is read or put");
  auto body = body_of(request);
  if (!body) return failure(400, "syntax_error", body.error().message);
  const auto* data = body->if_contains("data");
  if (data == nullptr) return failure(400, "validation_error", "data must be set");
  auto view = registration_.view(name);
  if (!view) return failure(view.error());
  if (!view->known) return unknown_service(name);
  const auto index = int_or(*body, "index");
  auto set = registration_.set_meta(name, *data, index, string_or(*body, "leader_id"));
  if (set) return json_answer(json::object{{"data", set->meta}, {"index", set->index}});
  if (set.error().code == Code::conflict && index == 0)
    return failure(409, "object_exists", "service \"" + name + "\" has metadata already: send its index");
  return failure(set.error());
}

}  // namespace flynn::discovery
