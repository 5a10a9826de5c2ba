#include "test_controller.h"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/SecureServerSocket.h>
#include <openssl/evp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>

#include "documents.h"
#include "frames.h"
#include "test_identity.h"

namespace flynn::cli::testing {
namespace {

using Poco::Net::StreamSocket;

std::string encode64(const std::string& text) {
  std::vector<unsigned char> out(text.size() * 2 + 4);
  const int length =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return {out.begin(), out.begin() + length};
}

void send_text(StreamSocket& socket, std::string_view text) {
  while (!text.empty()) {
    const int sent = socket.sendBytes(text.data(), static_cast<int>(text.size()));
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool receive_more(StreamSocket& socket, std::string& buffer) {
  std::array<char, 8192> bytes;
  const int count = socket.receiveBytes(bytes.data(), static_cast<int>(bytes.size()));
  if (count <= 0) return false;
  buffer.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

TestController::TestController(Tls tls) : tls_(tls) {
  const Poco::Net::SocketAddress anywhere("127.0.0.1", 0);
  if (tls == Tls::kYes) {
    const Identity identity = make_identity();
    pin_ = identity.pin;
    server_ = Poco::Net::SecureServerSocket(anywhere, 64, identity.context);
  } else {
    server_ = Poco::Net::ServerSocket(anywhere, 64);
  }
  acceptor_ = std::thread([this] { accept_loop(); });
}

TestController::~TestController() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (StreamSocket& socket : open_) ::shutdown(socket.impl()->sockfd(), SHUT_RDWR);
  }
  ::shutdown(server_.impl()->sockfd(), SHUT_RDWR);
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
}

std::string TestController::url() const {
  return std::string(tls_ == Tls::kYes ? "https" : "http") +
         "://controller.test.localhost:" + std::to_string(server_.address().port());
}

void TestController::add_app(const std::string& name) {
  const std::lock_guard lock(mutex_);
  apps_[name];
}

void TestController::make_plugin(const std::string& app) {
  const std::lock_guard lock(mutex_);
  apps_[app].release = "release-of-" + app;
  releases_["release-of-" + app] = {{"id", "release-of-" + app}, {"plugin", {{"slot", app}}}};
}

void TestController::add_route(const std::string& app, const std::string& document) {
  const std::lock_guard lock(mutex_);
  apps_[app].routes.push_back(json::parse(document));
}

json::object TestController::release_of(const std::string& app) {
  const std::lock_guard lock(mutex_);
  return releases_[apps_[app].release];
}

std::vector<std::string> TestController::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<int> TestController::signals() {
  const std::lock_guard lock(mutex_);
  return signals_;
}

void TestController::accept_loop() {
  for (;;) {
    try {
      StreamSocket socket = server_.acceptConnection();
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      open_.push_back(socket);
      connections_.emplace_back([this, socket] { serve(socket); });
    } catch (const Poco::Exception&) {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
  }
}

void TestController::serve(StreamSocket socket) {
  try {
    std::string buffer;
    while (buffer.find("\r\n\r\n") == std::string::npos) {
      if (!receive_more(socket, buffer)) return;
    }
    Request request;
    const std::size_t head_end = buffer.find("\r\n\r\n") + 4;
    std::size_t at = buffer.find("\r\n");
    const std::string first = buffer.substr(0, at);
    request.method = first.substr(0, first.find(' '));
    request.path = first.substr(request.method.size() + 1, first.rfind(' ') - request.method.size() - 1);
    if (const auto mark = request.path.find('?'); mark != std::string::npos) {
      request.query = request.path.substr(mark + 1);
      request.path.erase(mark);
    }
    for (at += 2; at + 2 < head_end;) {
      const std::size_t end = buffer.find("\r\n", at);
      const std::size_t colon = buffer.find(": ", at);
      request.headers[lower(buffer.substr(at, colon - at))] = buffer.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    const std::size_t length =
        request.headers.contains("content-length") ? std::stoul(request.headers["content-length"]) : 0;
    while (buffer.size() < head_end + length) {
      if (!receive_more(socket, buffer)) return;
    }
    request.body = buffer.substr(head_end, length);
    request.rest = buffer.substr(head_end + length);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request.method + " " + request.path);
    }
    const bool trusted = request.headers["authorization"] == "Basic " + encode64(std::string(":") + kKey);
    if (trusted && request.path == "/events") return keep_event_stream(socket);
    if (trusted && request.headers["upgrade"] == "flynn-attach/0") return attach(request, socket);
    const Reply reply = trusted ? answer(request) : Reply{401, "", "text/plain"};
    send_text(socket, "HTTP/1.1 " + std::to_string(reply.status) + " X\r\nContent-Type: " + reply.type +
                          "\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\nConnection: close\r\n\r\n" +
                          reply.body);
    socket.shutdown();
  } catch (const Poco::Exception&) {
    // The client left, or the TLS handshake failed: both are subjects of tests.
    ::shutdown(socket.impl()->sockfd(), SHUT_RDWR);
  }
}

void TestController::keep_event_stream(StreamSocket& socket) {
  {
    const std::lock_guard lock(mutex_);
    event_streams_.push_back(socket);
    // The rules: headers at once; a keep-alive is a lone ":" line.
    send_text(socket,
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n:\n");
  }
}

void TestController::emit(const std::string& type, const std::string& id, json::object data) {
  const json::object event{{"id", next_id_++}, {"object_type", type}, {"object_id", id}, {"data", data}};
  forget_closed_streams();
  for (StreamSocket& socket : event_streams_) send_text(socket, "data: " + json::serialize(event) + "\n\n:\n");
}

/// A client never sends on an event stream: one that is readable has ended.
void TestController::forget_closed_streams() {
  std::erase_if(event_streams_, [](StreamSocket& socket) {
    pollfd polled{socket.impl()->sockfd(), POLLIN, 0};
    return ::poll(&polled, 1, 0) != 0;
  });
}

TestController::Reply TestController::answer(const Request& request) {
  const std::lock_guard lock(mutex_);
  const json::value parsed = request.body.empty() ? json::value() : json::parse(request.body);
  const json::object& body = as_object(parsed);
  if (request.path == "/apps" && request.method == "GET") {
    json::array list;
    for (const auto& [name, app] : apps_)
      list.push_back(json::object{{"id", "id-" + name}, {"name", name}, {"meta", json::object()}});
    return {200, json::serialize(list)};
  }
  if (request.path == "/apps") {
    const std::string name = text_of(body, "name");
    if (apps_.contains(name))
      return {409, R"({"code":"object_exists","message":"application \")" + name + R"(\" already exists"})"};
    apps_[name];
    return {200, json::serialize(json::object{{"id", "id-" + name}, {"name", name}, {"meta", json::object()}})};
  }
  if (request.path == "/releases") {
    const std::string id = "release-" + std::to_string(next_id_++);
    json::object release = body;
    release["id"] = id;
    releases_[id] = release;
    return {200, json::serialize(release)};
  }
  if (request.path == "/.well-known/status")
    return {200, R"({"data":{"status":"healthy","version":"test","detail":""}})"};
  if (request.path == "/backup" && request.headers.at("accept") == "application/json")
    return {200, json::serialize(json::object{{"status", "error"}, {"error", backup_error_}})};
  if (request.path == "/backup" && backup_.empty())
    return {409, R"({"code":"conflict","message":"a backup is being written already","retry":false})"};
  if (request.path == "/backup") return {200, backup_, "application/tar"};
  if (request.path == "/ca-cert") return {200, "old CA", "application/x-x509-ca-cert"};
  if (request.path == "/domain") return answer_domain(body);
  if (request.path.starts_with("/sinks")) return answer_sinks(request, body);
  if (request.path.starts_with("/apps/")) {
    const auto slash = request.path.find('/', 6);
    const std::string name = request.path.substr(6, slash == std::string::npos ? slash : slash - 6);
    if (apps_.contains(name))
      return answer_app(request, name, slash == std::string::npos ? "" : request.path.substr(slash));
  }
  return {404, "", "text/plain"};
}

TestController::Reply TestController::answer_app(const Request& request, const std::string& name,
                                                 const std::string& below) {
  App& app = apps_[name];
  const json::value parsed = request.body.empty() ? json::value() : json::parse(request.body);
  if (below.empty() && request.method == "DELETE") {
    apps_.erase(name);
    emit("app_deletion", name,
         {{"app_deletion", json::object{{"app", name},
                                        {"deleted_routes", json::array{1}},
                                        {"deleted_releases", json::array{1, 2}},
                                        {"deleted_resources", json::array()}}},
          {"error", ""}});
    return {200, "{}"};
  }
  if (below.empty())
    return {200, json::serialize(json::object{{"id", "id-" + name}, {"name", name}, {"meta", json::object()}})};
  if (below == "/release") {
    if (app.release.empty()) return {404, "", "text/plain"};
    return {200, json::serialize(releases_[app.release])};
  }
  if (below == "/deploy") return deploy(name, text_of(as_object(parsed), "id"));
  if (below.starts_with("/scale/")) return scale(name, as_object(parsed));
  if (below.starts_with("/formations/"))
    return {200, json::serialize(json::object{{"app", name}, {"processes", app.processes}})};
  if (below == "/routes" && request.method == "GET") return {200, json::serialize(app.routes)};
  if (below == "/releases") return {200, json::serialize(newest_first())};
  if (below == "/maintenance") {
    if (request.method == "PUT") app.maintenance = flag_of(as_object(parsed), "maintenance");
    return {200, json::serialize(json::object{{"maintenance", app.maintenance}, {"routes", json::array{"a"}}})};
  }
  if (below == "/log") {
    return {
        200,
        R"({"job_id":"h-1","msg":"hello","process_type":"web","source":"app","stream":"stdout","timestamp":"2026-01-31T12:00:00.5Z"})"
        "\n"
        R"({"job_id":"h-1","msg":"oops","process_type":"web","source":"app","stream":"stderr","timestamp":1769860801000000})"
        "\n",
        "text/plain"};
  }
  if (below == "/jobs" && request.method == "GET") {
    return {200, R"([{"id":"h-2","type":"web","state":"up","created_at":"2026-01-31T12:00:01Z","release":"r"},)"
                 R"({"id":"h-1","type":"","state":"down","created_at":"2026-01-31T12:00:00Z","release":"r"}])"};
  }
  return {404, "", "text/plain"};
}

json::array TestController::newest_first() const {
  json::array list;
  for (const auto& [id, release] : releases_) list.insert(list.begin(), release);
  return list;
}

TestController::Reply TestController::answer_sinks(const Request& request, const json::object& body) {
  if (request.method == "GET") return {200, json::serialize(sinks_)};
  if (request.method == "DELETE") {
    sinks_.clear();
    return {200, "{}"};
  }
  json::object sink = body;
  sink["id"] = "s-1";
  sinks_.push_back(sink);
  return {200, json::serialize(sink)};
}

TestController::Reply TestController::deploy(const std::string& name, const std::string& release) {
  // A client that has not opened its stream yet would miss the event.
  forget_closed_streams();
  if (event_streams_.empty()) return {400, R"({"code":"validation_error","message":"no event stream is open"})"};
  App& app = apps_[name];
  const std::string id = "deployment-" + std::to_string(next_id_++);
  const bool fails = text_of(object_of(releases_[release], "env"), "BREAK") == "yes";
  json::object deployment{{"id", id}, {"app", name}, {"new_release", release}, {"deploy_timeout", 20}};
  if (app.processes.empty() && !fails) {
    deployment["finished_at"] = "2026-01-31T12:00:00Z";
  } else {
    emit("deployment", id, {{"deployment", id}, {"status", "running"}});
    emit("deployment", id,
         {{"deployment", id},
          {"status", fails ? "failed" : "complete"},
          {"error", fails ? "web job failed to start" : ""}});
  }
  if (!fails) app.release = release;
  return {200, json::serialize(deployment)};
}

TestController::Reply TestController::scale(const std::string& name, const json::object& body) {
  forget_closed_streams();
  if (event_streams_.empty()) return {400, R"({"code":"validation_error","message":"no event stream is open"})"};
  App& app = apps_[name];
  const std::string id = "scale-" + std::to_string(next_id_++);
  const json::object request{{"id", id},
                             {"app", name},
                             {"release", app.release},
                             {"state", "pending"},
                             {"old_processes", app.processes},
                             {"new_processes", body.at("new_processes")}};
  for (const auto& type : body.at("new_processes").as_object()) app.processes[type.key()] = type.value();
  emit("job", "h-9", {{"id", "h-9"}, {"type", "web"}, {"state", "up"}, {"release", app.release}});
  json::object done = request;
  done["state"] = "complete";
  emit("scale_request", id, done);
  return {200, json::serialize(request)};
}

/// The job: writes its arguments, then what it reads, then "done" on stderr; exits with 7, or by the signal it gets.
void TestController::attach(const Request& request, StreamSocket& socket) {
  send_text(socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flynn-attach/0\r\n\r\n" +
                        encode_data(Stream::kStdout, json::serialize(json::parse(request.body).at("args")) + "\n"));
  FrameReader reader;
  reader.feed(request.rest);
  for (;;) {
    auto frame = reader.next();
    if (!frame) return;
    if (!frame->has_value()) {
      std::string more;
      if (!receive_more(socket, more)) return;
      reader.feed(more);
      continue;
    }
    if ((*frame)->type == FrameType::kSignal) {
      const std::lock_guard lock(mutex_);
      signals_.push_back(static_cast<int>((*frame)->number));
      return send_text(socket, encode_exit(128 + (*frame)->number));
    }
    if ((*frame)->type != FrameType::kData) continue;
    if ((*frame)->payload.empty()) break;
    send_text(socket, encode_data(Stream::kStdout, (*frame)->payload));
  }
  send_text(socket, encode_data(Stream::kStdout, "") + encode_data(Stream::kStderr, "done\n") + encode_exit(7));
}

}  // namespace flynn::cli::testing
