#include "haproxy_config.h"

#include <algorithm>
#include <set>

namespace haproxy_router {
namespace {

// What may stand in a line of HAProxy's configuration or of its runtime API without being more than a word.
bool is_plain(const std::string& text) {
  return !text.empty() && text.size() <= 300 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == '/' || c == ':' || c == '~' || c == '%';
  });
}

template <typename Map>
std::size_t first_free(const Map& taken) {
  std::set<std::size_t> numbers;
  for (const auto& [name, number] : taken) numbers.insert(number);
  std::size_t free = 1;
  while (numbers.contains(free)) ++free;
  return free;
}

std::string backend_name(std::size_t number) { return "b" + std::to_string(number); }

}  // namespace

std::optional<Layout> lay_out(const World::View& view, const Layout& before) {
  Layout next = before;
  std::set<std::string> wanted;
  for (const auto& [id, route] : view.routes) wanted.insert(route.service);
  std::erase_if(next.backends, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(next.servers, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const auto& service : wanted) {
    if (!next.backends.contains(service)) next.backends[service] = first_free(next.backends);
    if (next.backends[service] > next.room.backends) return std::nullopt;
    auto& servers = next.servers[service];
    const auto found = view.instances.find(service);
    const std::map<std::string, std::string> none;
    const auto& instances = found == view.instances.end() ? none : found->second;
    std::erase_if(servers, [&](const auto& entry) { return !instances.contains(entry.first); });
    for (const auto& [id, addr] : instances) {
      if (!servers.contains(id)) servers[id] = first_free(servers);
      if (servers[id] > next.room.servers) return std::nullopt;
    }
  }
  return next;
}

Layout lay_out_anew(const World::View& view, Room room) {
  while (true) {
    Layout empty;
    empty.room = room;
    if (auto layout = lay_out(view, empty)) return *layout;
    room.backends *= 2;
    room.servers *= 2;
  }
}

std::map<std::string, std::string> map_of(const World::View& view, const Layout& layout) {
  std::map<std::string, std::string> map;
  for (const auto& [id, route] : view.routes) {
    const auto key = route.domain + with_slash(route.path);
    const auto backend = layout.backends.find(route.service);
    if (is_plain(key) && backend != layout.backends.end()) map[key] = backend_name(backend->second);
  }
  return map;
}

std::map<std::string, std::string> servers_of(const World::View& view, const Layout& layout) {
  std::map<std::string, std::string> servers;
  for (const auto& [service, places] : layout.servers)
    for (const auto& [id, number] : places) {
      const auto& addr = view.instances.at(service).at(id);
      if (is_plain(addr)) servers[backend_name(layout.backends.at(service)) + "/s" + std::to_string(number)] = addr;
    }
  return servers;
}

std::string map_text(const std::map<std::string, std::string>& map) {
  std::string text;
  for (const auto& [key, backend] : map) text += key + " " + backend + "\n";
  return text;
}

std::string config_text(const World::View& view, const Layout& layout, const std::string& run_dir) {
  const auto map = run_dir + "/routes.map";
  std::string text =
      "global\n  stats socket " + run_dir + "/haproxy.sock level admin mode 600\n" + "  hard-stop-after 60s\n" +
      "defaults\n  mode http\n  option forwardfor\n  option redispatch\n  retries 3\n" +
      "  timeout connect 1s\n  timeout client 75s\n  timeout server 600s\n  timeout tunnel 1h\n" +
      "  timeout http-request 10s\n  timeout http-keep-alive 75s\n" + "frontend web\n  bind fd@3\n" +
      "  http-request set-header X-Forwarded-Proto http\n" + "  http-request set-var(txn.path) path\n" +
      "  http-request set-var(txn.place) req.hdr(host),field(1,:),lower,concat(,txn.path,/)\n" +
      "  http-request return status 404 content-type text/plain string \"no route\" unless " +
      "{ var(txn.place),map_beg(" + map + ") -m found }\n" + "  use_backend %[var(txn.place),map_beg(" + map + ")]\n";
  const auto servers = servers_of(view, layout);
  for (std::size_t backend = 1; backend <= layout.room.backends; ++backend) {
    text += "backend " + backend_name(backend) + "\n  balance random\n";
    for (std::size_t server = 1; server <= layout.room.servers; ++server) {
      const auto used = servers.find(backend_name(backend) + "/s" + std::to_string(server));
      text += "  server s" + std::to_string(server) + " " +
              (used == servers.end() ? "127.0.0.1:1 disabled" : used->second) + "\n";
    }
  }
  return text;
}

}  // namespace haproxy_router
