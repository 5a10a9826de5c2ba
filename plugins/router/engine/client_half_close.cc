// The client has ended its side while its answer comes. It may still read (`nc -N`) or have gone: TCP tells the two
// apart only by what is sent to it next, and a quiet stream sends nothing.
#include <algorithm>

#include "engine/client_connection.h"

namespace flynn::router {

// One with a length ends by itself; so does, we trust, one whose head has not come yet.
bool ClientConnection::streams_to_half_closed() const {
  using Kind = BodyFraming::Kind;
  if (state_ != State::kServing || !socket_.peer_closed || !exchange_->head_done) return false;
  const auto kind = exchange_->response_body.kind();
  return kind == Kind::kChunked || kind == Kind::kUntilClose;
}

void ClientConnection::mind_half_close() {
  if (!streams_to_half_closed()) return;
  if (exchange_->event_stream) return abort();
  const auto& settings = loop_.settings;
  const std::int64_t limit =
      loop_.draining ? std::min(settings.drain_idle_ms, settings.half_closed_idle_ms) : settings.half_closed_idle_ms;
  const auto quiet = loop_.monotonic_ms - exchange_->response_at_ms;
  // What is still under way will tell: it is taken by a slow reader, or answered with a reset.
  if (quiet >= (socket_.has_unsent() ? std::int64_t{settings.stream_timeout_ms} : limit)) return abort();
  loop_.wheel.disarm(*this);
  loop_.wheel.arm(*this, static_cast<std::uint32_t>(quiet < limit ? limit - quiet : limit));
}

}  // namespace flynn::router
