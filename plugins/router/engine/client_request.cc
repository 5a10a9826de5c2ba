// From a request's first byte to its last one at the backend.
#include <utility>

#include "engine/client_connection.h"
#include "engine/sticky_cookie.h"
#include "http/error_page.h"

namespace flynn::router {
namespace {

constexpr int kTurnsMax = 4;  // reads of one connection before others have their turn

}  // namespace

void ClientConnection::read_head() {
  while (state_ == State::kHead) {
    // The last response must have gone before the next one begins.
    if (!socket_.out.empty()) return;
    if (!pending_.empty() && take_pending_head()) continue;
    if (!socket_.readable) return;
    if (!(pending_.empty() ? take_fresh_head() : read_more_head())) return;
  }
}

// Reads into the shared buffer: an idle connection owns none.
bool ClientConnection::take_fresh_head() {
  std::size_t size = 0;
  const auto received = socket_.receive(loop_.read_buffer, kReadBytes, size);
  if (received == Received::kNothing) return false;
  if (received != Received::kBytes) return close_now(), false;
  loop_.counters.bytes_in.add(size);
  const std::string_view bytes(loop_.read_buffer, size);
  RequestHead head;
  const auto result = parse_request_head(bytes, head);
  if (result.state == ParseState::kRejected) return reject(result), false;
  if (result.state == ParseState::kIncomplete) {
    pending_.append(loop_.blocks, bytes);
    loop_.wheel.disarm(*this);
    loop_.wheel.arm(*this, loop_.settings.head_timeout_ms);
    return true;
  }
  begin_exchange(head);
  pending_.append(loop_.blocks, bytes.substr(head.head_bytes));
  find_backend();
  return true;
}

// True if what is pending has been dealt with; false if more must come.
bool ClientConnection::take_pending_head() {
  auto result = scanner_.scan(pending_.view());
  if (result.state == ParseState::kIncomplete) return false;
  RequestHead head;
  if (result.state == ParseState::kComplete) result = parse_request_head(pending_.view(), head);
  if (result.state != ParseState::kComplete) {
    // The scanner saw an end, so a parser that wants more has found nonsense.
    if (result.state == ParseState::kIncomplete) result = ParseResult::rejected(400, "a malformed head");
    return reject(result), true;
  }
  begin_exchange(head);
  pending_.consume(loop_.blocks, head.head_bytes);
  find_backend();
  return true;
}

bool ClientConnection::read_more_head() {
  std::size_t available = 0, size = 0;
  char* at = pending_.room(loop_.blocks, kReadBytes, available);
  const auto received = socket_.receive(at, available, size);
  if (received == Received::kNothing) return false;
  if (received != Received::kBytes) return close_now(), false;
  pending_.grow(loop_.blocks, size);
  loop_.counters.bytes_in.add(size);
  return true;
}

void ClientConnection::reject(const ParseResult& result) {
  pending_.clear(loop_.blocks);
  fail(result.status, result.reason);
}

void ClientConnection::begin_exchange(const RequestHead& head) {
  loop_.counters.requests.add();
  scanner_.reset();
  exchange_ = loop_.new_exchange();
  auto& exchange = *exchange_;
  exchange.method = head.method;
  exchange.client_minor = head.version_minor;
  exchange.client_keep_alive = head.keep_alive;
  exchange.wants_upgrade = head.wants_upgrade();
  exchange.expects_continue = head.expect_continue;
  exchange.request_body.start(head.body);
  exchange.body_begun = exchange.head_sent = exchange.response_begun = exchange.head_done = false;
  exchange.upstream = nullptr;
  exchange.tries = 0;
  exchange.fresh_only = false;
  exchange.wait_until_ms = 0;
  exchange.status = 0;
  exchange.bytes = 0;
  exchange.started_ms = loop_.monotonic_ms;
  exchange.sticky = exchange.set_cookie = exchange.wants_json = exchange.maintenance = exchange.leader = false;
  exchange.sticky_hash = 0;
  exchange.service.set({});
  exchange.app_id.set({});
  exchange.backend_addr.set({});
  exchange.tcp.on = false;
  state_ = State::kServing;

  const Route* route = loop_.table->find(head.host_name, head.path);
  for (std::size_t i = 0; i < head.count; ++i) {
    const auto& field = head.fields[i];
    if (field.id == HeaderId::kAccept) exchange.wants_json = accepts_json(field.value);
    if (field.id == HeaderId::kCookie && route != nullptr && route->sticky)
      exchange.sticky_hash = read_sticky_cookie(field.value);
  }
  const auto id = write_request_head(head,
                                     {ip_.view(), secure_ ? loop_.secure_port : loop_.port, secure_ != nullptr,
                                      loop_.make_request_id(), loop_.wall_ms, loop_.settings.trust_forwarded},
                                     exchange.head);
  exchange.request_id.set(id);
  exchange.host.set(head.host);
  if (loop_.settings.log_requests) {
    exchange.method_name.set(head.method_name);
    exchange.path.set(head.target);
  }
  if (route == nullptr) return;
  exchange.service.set(route->service);
  exchange.app_id.set(route->app_id);
  exchange.sticky = route->sticky;
  exchange.maintenance = route->maintenance;
  exchange.leader = route->leader;
}

// The head, and with it what has come of the body.
void ClientConnection::send_head() {
  auto& exchange = *exchange_;
  loop_.wheel.arm(*this, loop_.settings.stream_timeout_ms);
  exchange.head_sent = true;
  exchange.backend_addr.set(exchange.upstream->backend->addr);
  if (!exchange.request_body.done() && !pending_.empty()) {
    if (forward_request_body(pending_.data(), pending_.size(), true, exchange.head.view()) != Pumped::kYes) return;
  } else if (!exchange.upstream->socket.send(loop_.blocks, {exchange.head.view()})) {
    return retry_or_fail("The app's process closed the connection");
  }
  pump_request();
}

void ClientConnection::pump_request() {
  for (int turn = 0; turn < kTurnsMax; ++turn)
    if (pump_request_once() != Pumped::kYes) return;
  loop_.make_ready(*this);
}

ClientConnection::Pumped ClientConnection::pump_request_once() {
  auto& exchange = *exchange_;
  if (exchange.request_body.done() || !exchange.head_sent || !exchange.upstream->socket.out.empty()) return Pumped::kNo;
  if (!pending_.empty()) return forward_request_body(pending_.data(), pending_.size(), true, {});
  if (!socket_.readable) return Pumped::kNo;
  std::size_t size = 0;
  const auto received = socket_.receive(loop_.read_buffer, kReadBytes, size);
  if (received == Received::kNothing) return Pumped::kNo;
  if (received != Received::kBytes) return abort(), Pumped::kGone;
  loop_.counters.bytes_in.add(size);
  return forward_request_body(loop_.read_buffer, size, false, {});
}

ClientConnection::Pumped ClientConnection::forward_request_body(char* bytes, std::size_t size, bool from_pending,
                                                                std::string_view head) {
  auto& exchange = *exchange_;
  exchange.body_begun = true;
  const auto step = exchange.request_body.decode(bytes, size);
  if (step.error != nullptr) {
    drop_upstream();
    exchange.client_keep_alive = false;
    return fail(400, step.error), Pumped::kGone;
  }
  ChunkSizeRoom room;
  const auto parts = frame_body(exchange.request_body.kind(), {bytes, step.produced}, step.done, room);
  const bool sent = exchange.upstream->socket.send(loop_.blocks, {head, parts.size_line, parts.data, parts.end});
  if (from_pending)
    pending_.consume(loop_.blocks, step.consumed);
  else
    pending_.append(loop_.blocks, {bytes + step.consumed, size - step.consumed});
  if (!sent) {
    // The backend may have answered before it closed: its answer decides.
    exchange.upstream->socket.readable = true;
    pump_response();
    return Pumped::kGone;
  }
  loop_.wheel.arm(*this, loop_.settings.stream_timeout_ms);
  return Pumped::kYes;
}

}  // namespace flynn::router
