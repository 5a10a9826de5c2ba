// The list of moving connections as a document and descriptors, between two versions of this plugin.
#pragma once

#include <string>
#include <vector>

#include "engine/outbox.h"
#include "flynn/sdk/call.h"
#include "flynn/sdk/result.h"

namespace flynn::router {

/// {"v":1|2, "port":"80", "left":3, "connections":[{"ip", "timeout_ms", "received"?, "tunnel"?: {"service", "instance",
/// "addr", "to_client"?, "to_upstream"?, "client_ended", "upstream_ended"}, "tcp"?: {"service", "leader"}}]}; bytes in
/// base64. The descriptors in order: the client's, then a tunnel's upstream. A tunnel of a TCP route is a tunnel. With
/// `tcp` the connection came to the port of a TCP route and is not connected to an instance yet: a router of before TCP
/// routes would take it for HTTP, so a list with one is "v":2, and every other list "v":1. A reader ignores members
/// that it does not know; whatever it must not ignore is another "v".
Reply write_moving(Outbox::Batch batch, const std::string& port);

struct MovingList {
  std::vector<MovingConnection> connections;
  std::string port;
};

/// Takes the descriptors out of `call`. An error refuses the whole list: another "v", a document that is not as above,
/// a descriptor that is no stream socket.
Result<MovingList> read_moving(Call& call);

}  // namespace flynn::router
