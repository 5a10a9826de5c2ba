// What HAProxy should know, as a value: which service has which backend, which instance which server; and the
// configuration and the map that say so.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "world.h"

namespace haproxy_router {

struct Room {
  std::size_t backends = 32, servers = 16;
};

/// Places that services and instances have in HAProxy's tables. A place is kept as long as it is used.
struct Layout {
  Room room;
  std::map<std::string, std::size_t> backends;                        // service -> number
  std::map<std::string, std::map<std::string, std::size_t>> servers;  // service -> instance id -> number
};

/// The layout for this view, from the one before. nullopt: there is not enough room.
std::optional<Layout> lay_out(const World::View& view, const Layout& before);
/// Twice as much, until it suffices.
Layout lay_out_anew(const World::View& view, Room room);

/// "host/path" -> backend: the lines of the map.
std::map<std::string, std::string> map_of(const World::View& view, const Layout& layout);
/// "b3/s1" -> "10.0.0.1:80" of the servers in use.
std::map<std::string, std::string> servers_of(const World::View& view, const Layout& layout);

/// Files of the configuration; the listening socket is descriptor 3.
std::string config_text(const World::View& view, const Layout& layout, const std::string& run_dir);
std::string map_text(const std::map<std::string, std::string>& map);

}  // namespace haproxy_router
