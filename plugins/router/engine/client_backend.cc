// Which backend serves an exchange, and what happens when it doesn't.
#include <algorithm>
#include <utility>

#include "engine/client_connection.h"

namespace flynn::router {
namespace {

constexpr std::int64_t kAvoidMs = 1'000;

bool idempotent(Method method) {
  return method != Method::kPost && method != Method::kOther && method != Method::kConnect;
}

}  // namespace

// Power of two choices: of two random backends the one with fewer requests in flight. One that refused a connection is
// left out for a second, unless there is no other; one that this request has tried is left out for good. A route to the
// leader has no choice.
const std::shared_ptr<Backend>* ClientConnection::choose(const Service& service) {
  auto& exchange = *exchange_;
  const auto& all = service.backends;
  const auto tried = [&](const Backend* backend) {
    const auto end = exchange.tried.begin() + exchange.tries;
    return std::find(exchange.tried.begin(), end, backend) != end;
  };
  const auto usable = [&](const Backend& backend) {
    return backend.avoided_until_ms.load(std::memory_order_relaxed) <= loop_.monotonic_ms && !tried(&backend);
  };
  if (exchange.leader) {
    const auto leads = [&](const auto& backend) { return backend->id == service.leader && !tried(backend.get()); };
    const auto found = std::find_if(all.begin(), all.end(), leads);
    return found == all.end() ? nullptr : &*found;
  }
  if (exchange.sticky) {
    exchange.set_cookie = true;
    for (const auto& backend : all) {
      if (backend->id_hash != exchange.sticky_hash || !usable(*backend)) continue;
      exchange.set_cookie = false;
      return &backend;
    }
  }
  const auto count = static_cast<std::uint32_t>(all.size());
  if (count == 0) return nullptr;
  const auto first = loop_.random.below(count);
  const auto& one = all[first];
  if (count > 1) {
    const auto& other = all[(first + 1 + loop_.random.below(count - 1)) % count];
    const bool one_fits = usable(*one);
    const bool other_fits = usable(*other);
    if (one_fits && other_fits)
      return other->in_flight.load(std::memory_order_relaxed) < one->in_flight.load(std::memory_order_relaxed) ? &other
                                                                                                               : &one;
    if (one_fits || other_fits) return one_fits ? &one : &other;
  } else if (usable(*one)) {
    return &one;
  }
  for (const bool avoided_too : {false, true})
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto& backend = all[(first + i) % count];
      if (usable(*backend) || (avoided_too && !tried(backend.get()))) return &backend;
    }
  return nullptr;
}

void ClientConnection::find_backend() {
  auto& exchange = *exchange_;
  if (exchange.service.view().empty()) return fail(404, "No app is routed here");
  if (exchange.maintenance) return fail(503, "The app is closed for maintenance");
  const Service* service = loop_.table->service(exchange.service.view());
  while (service != nullptr && exchange.tries < kTriesMax) {
    const auto* backend = choose(*service);
    if (backend == nullptr) break;
    if (try_backend(*backend)) return;
  }
  wait_for_backend();
}

// False if the backend could not even be asked.
bool ClientConnection::try_backend(const std::shared_ptr<Backend>& backend) {
  auto& exchange = *exchange_;
  if (!exchange.fresh_only) {
    if ((exchange.upstream = loop_.upstreams.take_idle(backend, *this)) != nullptr) {
      send_head();
      return true;
    }
  }
  exchange.tried[static_cast<std::size_t>(exchange.tries++)] = backend.get();
  exchange.upstream = loop_.upstreams.connect(backend, *this);
  if (exchange.upstream == nullptr) loop_.counters.upstream_errors.add();
  return exchange.upstream != nullptr;
}

void ClientConnection::on_connect_failed() {
  loop_.counters.upstream_errors.add();
  exchange_->upstream->backend->avoided_until_ms.store(loop_.monotonic_ms + kAvoidMs, std::memory_order_relaxed);
  drop_upstream();
  find_backend();
}

// A deployment, a restart or a crash: the next instance is often only moments away.
void ClientConnection::wait_for_backend() {
  auto& exchange = *exchange_;
  if (exchange.wait_until_ms == 0) exchange.wait_until_ms = loop_.monotonic_ms + loop_.settings.wait_backend_ms;
  const auto left = exchange.wait_until_ms - loop_.monotonic_ms;
  if (left <= 0) return fail(503, "No process of the app is up");
  loop_.wheel.disarm(*this);
  loop_.wheel.arm(*this, static_cast<std::uint32_t>(left));
  if (std::exchange(waiting_, true)) return;
  previous_waiting_ = nullptr;
  next_waiting_ = loop_.waiting;
  if (next_waiting_ != nullptr) next_waiting_->previous_waiting_ = this;
  loop_.waiting = this;
}

void ClientConnection::stop_waiting() {
  if (!std::exchange(waiting_, false)) return;
  if (previous_waiting_ != nullptr)
    previous_waiting_->next_waiting_ = next_waiting_;
  else
    loop_.waiting = next_waiting_;
  if (next_waiting_ != nullptr) next_waiting_->previous_waiting_ = previous_waiting_;
}

void ClientConnection::retry_waiting() {
  stop_waiting();
  exchange_->tries = 0;
  find_backend();
}

// The backend ended the connection before it answered. A connection that had been idle may have been closed while our
// request was on its way; only then, and only if serving it twice does no harm, it is sent again.
void ClientConnection::retry_or_fail(const char* reason) {
  auto& exchange = *exchange_;
  const bool again = exchange.upstream->reused && !exchange.response_begun && !exchange.body_begun &&
                     exchange.request_body.done() && idempotent(exchange.method) && !exchange.fresh_only;
  drop_upstream();
  if (!again) {
    loop_.counters.upstream_errors.add();
    return fail(502, reason);
  }
  exchange.fresh_only = true;
  exchange.head_sent = false;
  find_backend();
}

}  // namespace flynn::router
