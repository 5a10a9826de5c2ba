#include "../deploy.h"
#include "../documents.h"
#include "../dump_target.h"
#include "../one_off.h"
#include "../session.h"
#include "../terminal.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr const char* kPort = "6379";

struct Redis {
  ControllerClient* client;
  std::string app;
  json::object job;  // in the image of the server's app, with the credentials of this one
  json::array command;
};

Result<Redis> redis_of(Session& session) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto release = current_release(**client, *app);
  if (!release) return release.error();
  const json::object& env = object_of(*release, "env");
  const std::string server = text_of(env, "FLYNN_REDIS");
  if (server.empty())
    return failure("No redis database found. Provision one with `flynn resource add redis`",
                   "flynn resource add redis; 'flynn provider' shows whether the cluster has that appliance")
        .as(ErrorCode::kNoDatabase);
  const auto image = require_release(**client, server);
  if (!image) return image.error().context("the database server's app");
  const std::string host = text_of(env, "REDIS_HOST"), port = text_of(env, "REDIS_PORT");
  // Not "-a": the arguments of a job can be seen by everybody on its machine.
  const json::object credentials{{"REDISCLI_AUTH", text_of(env, "REDIS_PASSWORD")}};
  Redis redis{*client, *app, {{"release", text_of(*image, "id")}, {"env", credentials}, {"disable_log", true}}, {}};
  for (const std::string& word :
       {std::string("redis-cli"), std::string("-h"), host.empty() ? "leader." + server + ".discoverd" : host,
        std::string("-p"), port.empty() ? std::string(kPort) : port})
    redis.command.emplace_back(word);
  return redis;
}

Result<int> console(Session& session, const Arguments& arguments) {
  auto redis = redis_of(session);
  if (!redis) return redis.error();
  for (const std::string& word : arguments.values) redis->command.emplace_back(word);
  redis->job["args"] = std::move(redis->command);
  AttachIo io{.stdin_fd = 0};
  io.tty = use_terminal(redis->job);
  session.shown();
  return run_one_off(*redis->client, redis->app, redis->job, io);
}

Result<int> dump(Session& session, const Arguments& arguments) {
  auto redis = redis_of(session);
  if (!redis) return redis.error();
  const auto target = dump_target(arguments);
  if (!target) return target.error();
  for (const char* word : {"--rdb", "-"}) redis->command.emplace_back(word);
  redis->job["args"] = std::move(redis->command);
  session.shown();
  return run_one_off(*redis->client, redis->app, redis->job, {.stdout_fd = target->fd()});
}

Result<int> restore(Session&, const Arguments&) {
  return failure("redis restore: a running Redis takes no dump",
                 "Send the keys by 'flynn redis redis-cli -- --pipe', as redis-cli reads them.")
      .as(ErrorCode::kNotSupported);
}

}  // namespace

CommandList redis_commands() {
  const Option file{'f', "file", "file", "instead of stdout"};
  const Option quiet{'q', "quiet", "", "no progress (there is none)"};
  return {
      {"redis redis-cli",
       "[-- <argument>...]",
       "Open a console to the app's Redis",
       {},
       0,
       kAny,
       console,
       OptionOrder::kBeforeArguments},
      {"redis dump", "", "Dump the app's Redis in its RDB format", {file, quiet}, 0, 0, dump},
      {"redis restore",
       "",
       "Not supported: see 'flynn redis redis-cli -- --pipe'",
       {file, quiet},
       0,
       0,
       restore,
       OptionOrder::kAnywhere,
       true},
  };
}

}  // namespace flynn::cli
