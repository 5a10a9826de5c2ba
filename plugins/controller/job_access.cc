/// Into running jobs: a command in one (exec), a connection to a port of one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "context.h"
#include "system_apps.h"
#include "validation.h"

namespace flynn::controller {
namespace {

constexpr std::chrono::milliseconds kExecTimeout{30'000};
constexpr int kConnectTimeoutMs = 5'000;

ApiError needs_connection(const char* what) {
  return {501, "unimplemented", std::string(what) + " needs an HTTP connection of its own", nullptr, false};
}

/// The host's status of a job of that app which runs.
Outcome<json::object> running_job(Context& context, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (Verdict bad = refuse_for_plugin(app->value, "it runs in no container")) return *bad;
  auto status = context.jobs.find(job_uuid(params[1]));
  if (!status || text_of(*status, "app_id") != text_of(app->value, "id")) return not_found("job " + params[1]);
  const std::string state = text_of(*status, "state");
  if (state != "up" && state != "starting") return validation("", "the job is " + state + ", it does not run");
  return std::move(*status);
}

HttpResponse upgraded(UniqueFd stream, const std::string& protocol) {
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  response.stream->head =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " + protocol + "\r\n\r\n";
  response.stream->source = std::move(stream);
  response.stream->duplex = true;
  return response;
}

Outcome<HttpResponse> exec_in_job(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto job = running_job(context, params);
  if (!job) return job.error();
  if (request.upgrade != "flynn-attach/0" || !request.streams) return needs_connection("exec");
  json::object env = object_of(*asked, "env");
  if (Verdict bad = check_env("env", env)) return *bad;
  json::array args;
  for (std::string& word : strings_or_empty(*asked, "args")) args.push_back(json::value(word));
  if (args.empty()) return validation("args", "must name a program");
  auto exec = context.door.call("flynn.host/1", "Exec",
                                {{"job_id", text_of(*job, "id")},
                                 {"args", std::move(args)},
                                 {"env", std::move(env)},
                                 {"tty", flag_of(*asked, "tty")},
                                 {"columns", number_of(*asked, "tty_columns", 80)},
                                 {"rows", number_of(*asked, "tty_lines", 24)}},
                                kExecTimeout);
  if (!exec && exec.error().code == Code::invalid_argument) return validation("args", exec.error().message);
  if (!exec && exec.error().code == Code::failed_precondition) return validation("", exec.error().message);
  if (!exec || exec->fds.empty())
    return unknown_error("exec: " + (exec ? std::string("the host gave no stream") : exec.error().message));
  return upgraded(std::move(exec->fds.front()), "flynn-attach/0");
}

Outcome<UniqueFd> connect_to(const std::string& address, std::uint16_t port) {
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &target.sin_addr) != 1)
    return unknown_error("the job has no address (\"" + address + "\")");
  const std::string place = address + ":" + std::to_string(port);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return unknown_error(std::string("make a socket: ") + std::strerror(errno));
  int code = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0 ? 0 : errno;
  if (code == EINPROGRESS) {
    pollfd entry{fd.get(), POLLOUT, 0};
    socklen_t size = sizeof code;
    if (::poll(&entry, 1, kConnectTimeoutMs) <= 0)
      code = ETIMEDOUT;
    else
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  }
  if (code != 0) return validation("port", "nothing listens at " + place + " in the job: " + std::strerror(code));
  return fd;
}

/// Raw bytes after the 101, both ways, until either side ends.
Outcome<HttpResponse> connect_port(Context& context, const HttpRequest& request, const Params& params) {
  int port = 0;
  const std::string& text = params[2];
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
    return validation("port", "\"" + text + "\" is not 1 to 65535");
  auto job = running_job(context, params);
  if (!job) return job.error();
  if (request.upgrade != "flynn-tcp/0" || !request.streams) return needs_connection("a port");
  auto connection = connect_to(text_of(*job, "addr"), static_cast<std::uint16_t>(port));
  if (!connection) return connection.error();
  return upgraded(std::move(*connection), "flynn-tcp/0");
}

}  // namespace

void add_job_access_routes(RouterTable& table) {
  table.add("POST", "/apps/:a/jobs/:j/exec", exec_in_job);
  table.add("POST", "/apps/:a/jobs/:j/port/:p", connect_port);
}

}  // namespace flynn::controller
