#include "flynn/sdk/plugin.h"

#include <exception>
#include <new>

#include "abi.h"
#include "flynn/sdk/stream.h"

namespace flynn {

void Plugin::on(std::string interface, std::string method, Method function) {
  methods_.insert_or_assign({std::move(interface), std::move(method)}, std::move(function));
}

Result<Reply> Plugin::handle(Call& call) {
  const auto found = methods_.find(std::pair(std::string(call.interface), std::string(call.method)));
  if (found == methods_.end())
    return Error{Code::unimplemented,
                 std::string(call.interface) + " has no method \"" + std::string(call.method) + "\""};
  return found->second(call);
}

Result<Reply> Plugin::hand_over(unsigned, Deadline) { return Reply{{{"connections", json::array{}}, {"left", 0}}}; }

Result<void> Plugin::take_over(Call& connections) {
  if (connections.fds.empty()) return {};
  return Error{Code::unimplemented, "this plugin takes over no connections"};
}

namespace abi1 {
namespace {

struct Instance {
  explicit Instance(const flynn_host* table) : host(table) {}
  Host host;
  std::unique_ptr<Plugin> plugin;
};

// The wall: nothing thrown behind it crosses the ABI.
template <typename Body>
Result<void> guard(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{Code::resource_exhausted, {}};
  } catch (const std::exception& failure) {
    return Error{Code::internal, std::string("exception: ") + failure.what()};
  } catch (...) {
    return Error{Code::internal, "exception of an unknown type"};
  }
}

template <typename Body>
flynn_status guarded(flynn_error* error, Body body) noexcept {
  const auto result = guard(body);
  return result.ok() ? static_cast<flynn_status>(FLYNN_OK) : write_error(result.error(), error);
}

Plugin& plugin_of(void* self) { return *static_cast<Instance*>(self)->plugin; }

Result<std::vector<UniqueFd>> duplicates(const int* fds, std::uint32_t count) {
  std::vector<UniqueFd> owned;
  owned.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto copy = duplicate(fds[i]);
    if (!copy) {
      // One that is closed is the caller's fault; that no more may be open is not.
      const auto code =
          copy.error().code == Code::resource_exhausted ? Code::resource_exhausted : Code::invalid_argument;
      return Error{code, "descriptor " + std::to_string(i) + " of the call: " + copy.error().message};
    }
    owned.push_back(std::move(*copy));
  }
  return owned;
}

Result<json::object> document(flynn_bytes body) {
  if (body.size == 0) return json::object{};
  return parse_json_object(view(body));
}

void fill(flynn_reply* out, Reply& reply) {
  const std::string text = json::serialize(reply.body);
  for (auto& fd : reply.fds) out->add_fd(out, fd.release());
  out->set_body(out, bytes(text));
}

flynn_status handle(void* self, const flynn_call* request, flynn_reply* out) noexcept {
  const auto result = guard([&]() -> Result<void> {
    auto body = document(request->body);
    if (!body) return body.error();
    auto fds = duplicates(request->fds, request->fd_count);
    if (!fds) return fds.error();
    Call call{view(request->interface), view(request->method), view(request->caller),         view(request->request_id),
              std::move(*body),         std::move(*fds),       Deadline{request->deadline_ns}};
    auto reply = plugin_of(self).handle(call);
    if (!reply) return reply.error();
    fill(out, *reply);
    return {};
  });
  if (result.ok()) return FLYNN_OK;
  const auto status = static_cast<flynn_status>(result.error().code);
  out->set_error(out, status, bytes(result.error().message), flynn_bytes{nullptr, 0});
  return status;
}

flynn_status configure(void* self, flynn_bytes config, flynn_error* error) noexcept {
  return guarded(error, [&]() -> Result<void> {
    auto body = document(config);
    if (!body) return body.error();
    return plugin_of(self).configure(*body);
  });
}

// A document and descriptors, given by another instance of the slot.
template <Result<void> (Plugin::*Function)(Call&)>
flynn_status receive(void* self, flynn_bytes given, const int* fds, std::uint32_t count, flynn_error* error) noexcept {
  return guarded(error, [&]() -> Result<void> {
    auto body = document(given);
    if (!body) return body.error();
    auto owned = duplicates(fds, count);
    if (!owned) return owned.error();
    Call call{{}, {}, {}, {}, std::move(*body), std::move(*owned), {}};
    return (plugin_of(self).*Function)(call);
  });
}

flynn_status export_state(void* self, flynn_reply* out, flynn_error* error) noexcept {
  return guarded(error, [&]() -> Result<void> {
    auto reply = plugin_of(self).export_state();
    if (!reply) return reply.error();
    fill(out, *reply);
    return {};
  });
}

flynn_status hand_over(void* self, std::uint32_t share_permille, std::uint64_t deadline_ns, flynn_reply* out,
                       flynn_error* error) noexcept {
  return guarded(error, [&]() -> Result<void> {
    auto reply = plugin_of(self).hand_over(share_permille, Deadline{deadline_ns});
    if (!reply) return reply.error();
    fill(out, *reply);
    return {};
  });
}

template <Result<void> (Plugin::*Function)()>
flynn_status phase(void* self, flynn_error* error) noexcept {
  return guarded(error, [&] { return (plugin_of(self).*Function)(); });
}

template <Result<void> (Plugin::*Function)(Deadline)>
flynn_status timed_phase(void* self, std::uint64_t deadline_ns, flynn_error* error) noexcept {
  return guarded(error, [&] { return (plugin_of(self).*Function)(Deadline{deadline_ns}); });
}

void destroy(void* self) noexcept { delete static_cast<Instance*>(self); }

constexpr flynn_instance_vt kInstanceTable = {
    sizeof(flynn_instance_vt),
    0,
    configure,
    receive<&Plugin::import_state>,
    phase<&Plugin::start>,
    phase<&Plugin::health>,
    phase<&Plugin::activate>,
    phase<&Plugin::quiesce>,
    phase<&Plugin::resume>,
    export_state,
    timed_phase<&Plugin::drain>,
    timed_phase<&Plugin::stop>,
    destroy,
    handle,
    hand_over,
    receive<&Plugin::take_over>,
};

}  // namespace

flynn_status create(Factory factory, const flynn_host* host, void** self, const flynn_instance_vt** vt,
                    flynn_error* error) {
  return guarded(error, [&]() -> Result<void> {
    auto instance = std::make_unique<Instance>(host);
    instance->plugin = factory(instance->host);
    *self = instance.release();
    *vt = &kInstanceTable;
    return {};
  });
}

}  // namespace abi1
}  // namespace flynn
