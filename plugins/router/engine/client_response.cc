// From a response's first byte to its last one at the client.
#include <string>
#include <utility>

#include "engine/client_connection.h"
#include "engine/sticky_cookie.h"
#include "http/chars.h"
#include "http/error_page.h"

namespace flynn::router {
namespace {

constexpr int kTurnsMax = 4;

bool is_event_stream(const ResponseHead& head) {
  if (head.has_length) return false;
  for (std::size_t i = 0; i < head.count; ++i) {
    const auto& field = head.fields[i];
    if (equals_ignoring_case(field.name, "content-type"))
      return equals_ignoring_case(trim_ows(field.value.substr(0, field.value.find(';'))), "text/event-stream");
  }
  return false;
}

}  // namespace

void ClientConnection::on_upstream_ready() {
  if (state_ == State::kAdopted) return;
  auto& socket = exchange_->upstream->socket;
  if (state_ == State::kDialing) return begin_tcp_tunnel();
  // When the backend does not take more it may still have answered: reading finds out.
  if (!socket.out.empty() && socket.writable && !socket.flush(loop_.blocks)) {
    socket.out.clear(loop_.blocks);
    socket.readable = true;
    upstream_refuses_ = state_ == State::kTunnel;
  }
  if (state_ == State::kTunnel) return pump_tunnel();
  if (!exchange_->head_sent)
    send_head();
  else
    pump_request();
  if (state_ == State::kServing) pump_response();
}

void ClientConnection::pump_response() {
  for (int turn = 0; turn < kTurnsMax; ++turn)
    if (!pump_response_once()) return;
  loop_.make_ready(*this);
}

// True if there may be more to do at once.
bool ClientConnection::pump_response_once() {
  if (state_ != State::kServing || exchange_->upstream == nullptr || !exchange_->head_sent) return false;
  auto& socket = exchange_->upstream->socket;
  if (!socket_.out.empty() || !socket.readable) return false;
  std::size_t size = 0;
  const auto received = socket.receive(loop_.read_buffer, kReadBytes, size);
  if (received == Received::kNothing) return false;
  if (received != Received::kBytes) return on_upstream_end(received), false;
  return take_response(loop_.read_buffer, size);
}

bool ClientConnection::take_response(char* bytes, std::size_t size) {
  exchange_->response_begun = true;
  exchange_->response_at_ms = loop_.monotonic_ms;
  loop_.wheel.arm(*this, loop_.settings.stream_timeout_ms);
  if (exchange_->head_done) return forward_response_body({}, bytes, size);
  auto& pending = exchange_->upstream->pending;
  if (pending.empty()) return take_response_head(bytes, size);
  if (!pending.append(loop_.blocks, {bytes, size})) return fail(502, "a head of more than 64 KiB"), false;
  // Taken out, so that the connection can go back to the pool while the bytes are still being used.
  Spill all = std::exchange(pending, Spill{});
  const bool more = take_response_head(all.data(), all.size());
  all.clear(loop_.blocks);
  return more;
}

bool ClientConnection::take_response_head(char* bytes, std::size_t size) {
  while (true) {
    ResponseHead head;
    const auto result = parse_response_head({bytes, size}, head);
    if (result.state == ParseState::kRejected) {
      loop_.counters.upstream_errors.add();
      return fail(502, result.reason), false;
    }
    if (result.state == ParseState::kIncomplete) {
      exchange_->upstream->pending.append(loop_.blocks, {bytes, size});
      return true;
    }
    bytes += head.head_bytes;
    size -= head.head_bytes;
    if (head.status == 101 || head.status >= 200) return pass_response_head(head, bytes, size);
    // 100 and 103 are for those who know them.
    if (exchange_->client_minor == 1) {
      write_response_head(head, {}, loop_.response_head);
      if (!socket_.send(loop_.blocks, {loop_.response_head.view()})) return abort(), false;
    }
    if (size == 0) return true;
  }
}

bool ClientConnection::pass_response_head(const ResponseHead& head, char* rest, std::size_t size) {
  using Kind = BodyFraming::Kind;
  auto& exchange = *exchange_;
  exchange.status = head.status;
  loop_.counters.latency_ms.add(static_cast<std::uint64_t>(loop_.monotonic_ms - exchange.started_ms));
  if (head.status == 101) {
    if (!exchange.wants_upgrade || !head.connection_upgrade || head.upgrade.empty() || !exchange.request_body.done())
      return fail(502, "an upgrade that was not asked for"), false;
    ResponseContext context;
    context.upgrade = true;
    write_response_head(head, context, loop_.response_head);
    return begin_tunnel(loop_.response_head.view(), {rest, size}), false;
  }
  const auto framing = response_framing(head, exchange.method);
  exchange.upstream_reusable = head.keep_alive && framing.kind != Kind::kUntilClose &&
                               !(head.chunked && (head.status == 204 || head.status == 304));
  exchange.to_client = framing;
  if (framing.kind == Kind::kChunked && exchange.client_minor == 0) exchange.to_client.kind = Kind::kUntilClose;
  // An upload that was refused before it began may or may not follow: only a new connection is unambiguous.
  if (exchange.to_client.kind == Kind::kUntilClose || loop_.draining ||
      (exchange.expects_continue && !exchange.body_begun))
    exchange.client_keep_alive = false;
  exchange.response_body.start(framing);
  exchange.event_stream = is_event_stream(head);

  ResponseContext context;
  context.framing = exchange.to_client;
  context.client_minor = exchange.client_minor;
  context.client_keep_alive = exchange.client_keep_alive;
  context.to_head_request = exchange.method == Method::kHead;
  std::string cookie;
  if (exchange.set_cookie) cookie = make_sticky_cookie(exchange.upstream->backend->id_hash);
  context.set_cookie = cookie;
  write_response_head(head, context, loop_.response_head);
  return forward_response_body(loop_.response_head.view(), rest, size);
}

bool ClientConnection::forward_response_body(std::string_view head, char* bytes, std::size_t size) {
  auto& exchange = *exchange_;
  const auto step = exchange.response_body.decode(bytes, size);
  if (step.error != nullptr) {
    loop_.counters.upstream_errors.add();
    if (!head.empty()) return fail(502, step.error), false;
    return abort(), false;
  }
  exchange.head_done = true;
  ChunkSizeRoom room;
  const bool done = exchange.response_body.done();
  const auto parts = frame_body(exchange.to_client.kind, {bytes, step.produced}, done, room);
  if (!socket_.send(loop_.blocks, {head, parts.size_line, parts.data, parts.end})) return abort(), false;
  exchange.bytes += step.produced;
  loop_.counters.bytes_out.add(head.size() + step.produced);
  if (step.consumed < size) exchange.upstream_reusable = false;
  if (done)
    finish_exchange();
  else if (socket_.peer_closed)
    mind_half_close();
  return !done;
}

void ClientConnection::on_upstream_end(Received how) {
  auto& exchange = *exchange_;
  if (!exchange.head_done) return retry_or_fail("The app's process closed the connection without an answer");
  if (how == Received::kEnd && exchange.response_body.kind() == BodyFraming::Kind::kUntilClose) {
    exchange.upstream_reusable = false;
    return finish_exchange();
  }
  // The client must not take the part for the whole.
  loop_.counters.upstream_errors.add();
  abort();
}

void ClientConnection::finish_exchange() {
  write_log();
  auto& exchange = *exchange_;
  const bool request_done = exchange.request_body.done();
  auto& upstream = *std::exchange(exchange.upstream, nullptr);
  if (exchange.upstream_reusable && request_done)
    loop_.upstreams.release(upstream);
  else
    loop_.upstreams.close(upstream);
  const bool keep = exchange.client_keep_alive && request_done;
  loop_.free_exchange(std::exchange(exchange_, nullptr));
  if (keep) return next_request();
  const bool nothing_left = request_done && pending_.empty() && !socket_.readable && socket_.out.empty();
  if (nothing_left)
    close_now();
  else
    close_gently();
}

void ClientConnection::next_request() {
  state_ = State::kHead;
  scanner_.reset();
  loop_.wheel.arm(*this, loop_.draining ? loop_.settings.drain_idle_ms : loop_.settings.client_idle_timeout_ms);
  // Never from here: a chain of pipelined requests would be a chain of calls.
  if (!pending_.empty() || socket_.readable) loop_.make_ready(*this);
  if (loop_.hand_over.is_open()) loop_.hand_over.note(*this);
}

void ClientConnection::fail(int status, const char* reason) {
  if (exchange_ != nullptr && exchange_->head_done) return abort();
  stop_waiting();
  drop_upstream();
  if (state_ == State::kDialing) {
    loop_.counters.made_errors.add();
    note_tcp_end(TcpEnd::kNoInstance);
    return close_now();
  }
  ErrorPage page;
  page.status = status;
  page.reason = reason;
  if (exchange_ != nullptr) {
    page.host = exchange_->host.view();
    page.request_id = exchange_->request_id.view();
    page.json = exchange_->wants_json;
    page.maintenance = exchange_->maintenance;
    page.head_only = exchange_->method == Method::kHead;
    page.client_minor = exchange_->client_minor;
    page.keep_alive = exchange_->client_keep_alive && exchange_->request_body.done() && !loop_.draining;
  }
  const auto response = make_error_response(page);
  // Counted before it is sent: who has read the answer finds it in the figures.
  loop_.counters.bytes_out.add(response.size());
  if (exchange_ == nullptr) {
    loop_.counters.responses[static_cast<std::size_t>(status / 100)].add();
  } else {
    exchange_->status = status;
    if (status == 404 || status > 501) loop_.counters.made_errors.add();
    write_log();
    loop_.free_exchange(std::exchange(exchange_, nullptr));
  }
  if (!socket_.send(loop_.blocks, {response})) return abort();
  if (page.keep_alive)
    next_request();
  else
    close_gently();
}

}  // namespace flynn::router
