#include "node_plugins.h"

namespace flynn::controller {
namespace {

constexpr const char* kNode = "flynn.node/1";
constexpr std::chrono::milliseconds kNodeTimeout{10'000};

}  // namespace

Outcome<json::object> ask_node(Context& context, const char* method, const json::object& body) {
  auto reply = context.door.call(kNode, method, body, kNodeTimeout);
  if (reply) return std::move(reply->body);
  const Error& error = reply.error();
  if (error.code == Code::not_found && std::string_view(method) == "Plugins") return not_found(error.message);
  if (error.code == Code::invalid_argument || error.code == Code::failed_precondition || error.code == Code::not_found)
    return validation("", error.message);
  return service_unavailable("the node's plugins: " + error.message);
}

Outcome<NodePlugins> node_plugins(Context& context) {
  auto reply = ask_node(context, "Plugins", {});
  if (!reply) return reply.error();
  NodePlugins out;
  out.node = text_of(*reply, "node");
  for (json::value& plugin : array_of(*reply, "plugins")) {
    if (plugin.is_object()) out.plugins.push_back(std::move(plugin.get_object()));
  }
  return out;
}

Outcome<json::object> node_plugin(Context& context, const std::string& slot) {
  auto reply = ask_node(context, "Plugins", {{"slot", slot}});
  if (!reply) return reply.error();
  json::array plugins = array_of(*reply, "plugins");
  if (plugins.empty() || !plugins[0].is_object()) return not_found("plugin " + slot);
  json::object plugin = std::move(plugins[0].get_object());
  plugin["node"] = text_of(*reply, "node");
  return plugin;
}

}  // namespace flynn::controller
