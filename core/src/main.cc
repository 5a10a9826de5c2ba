// flynn-host: run (the keeper), host (the process with the plugins), cage (one plugin), check-config, probe.
#include <cstdio>
#include <string>
#include <vector>

#include "child.h"
#include "config_schema.h"
#include "freed_memory.h"
#include "host_process.h"
#include "keeper.h"
#include "manifest.h"
#include "node_config.h"
#include "version.h"
#include "walls.h"

namespace flynn::core {
namespace {

constexpr const char* kUsage =
    "usage: flynn-host run --config FILE           run a node (restarts itself when it dies)\n"
    "       flynn-host check-config --config FILE  judge a configuration and the plugins it names\n"
    "       flynn-host probe PLUGIN.so             judge a plugin's file without running it\n"
    "       flynn-host version\n";

int check_config(const std::string& file) {
  auto config = load_node_config(file);
  if (!config) return std::fprintf(stderr, "flynn-host: %s\n", config.error().message.c_str()), 1;
  int problems = 0;
  const auto complain = [&](const std::string& slot, const Error& error) {
    std::fprintf(stderr, "flynn-host: [plugins.%s]: %s\n", slot.c_str(), error.message.c_str());
    ++problems;
  };
  for (const auto& plugin : config->plugins) {
    auto manifest = verify_plugin(plugin.path);
    if (!manifest) {
      complain(plugin.slot, manifest.error());
    } else if (auto judged = apply_config_schema(manifest->config_schema, plugin.config_json); !judged) {
      complain(plugin.slot, judged.error());
    } else if (auto caged = may_be_caged(manifest->capabilities); plugin.cage.own_process && !caged) {
      complain(plugin.slot, caged.error());
    }
  }
  if (problems == 0) std::printf("%s is right: %zu plugins\n", file.c_str(), config->plugins.size());
  return problems == 0 ? 0 : 1;
}

int probe(const std::string& file) {
  auto manifest = verify_plugin(file);
  if (!manifest) return std::fprintf(stderr, "flynn-host: %s\n", manifest.error().message.c_str()), 1;
  std::printf("%s\n", manifest->text.c_str());
  return 0;
}

int run(const std::vector<std::string>& args) {
  const std::string command = args.empty() ? "" : args[0];
  const bool has_config = args.size() == 3 && args[1] == "--config";
  if (command == "run" && has_config) return run_keeper(args[2]);
  if (command == "host" || command == "cage") bound_freed_memory();
  if (command == "host" && has_config) return run_host_process(args[2]);
  if (command == "check-config" && has_config) return check_config(args[2]);
  if (command == "cage" && args.size() == 2) return run_cage();
  if (command == "probe" && args.size() == 2) return probe(args[1]);
  if (command == "version") return std::printf("flynn-host %s\n", kVersion), 0;
  std::fputs(kUsage, stderr);
  return 64;
}

}  // namespace
}  // namespace flynn::core

int main(int argc, char** argv) { return flynn::core::run({argv + 1, argv + argc}); }
