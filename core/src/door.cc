#include "door.h"

#include <algorithm>

#include "reply_sink.h"

namespace flynn::core {
namespace {

std::string_view view(flynn_bytes bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

// "flynn.database/1@redis": of several providers the one in that slot.
constexpr char kSlotMark = '@';

std::string major_id(const InterfaceId& interface) { return interface.name + "/" + std::to_string(interface.major); }

}  // namespace

void Door::announce(Slot& slot, const std::vector<InterfaceId>& provides) {
  const std::lock_guard lock(changing_);
  const auto* old = table_.load();
  auto next = old == nullptr ? std::make_unique<Table>() : std::make_unique<Table>(*old);
  for (const auto& interface : provides) {
    (*next)[major_id(interface) + kSlotMark + slot.name()] = {&slot, interface};
    auto& provider = (*next)[major_id(interface)];
    // The first slot that was announced keeps an interface; a second provider is reached once the first is gone.
    if (provider.built_in != nullptr) continue;
    if (provider.slot == nullptr || provider.slot == &slot) provider = {&slot, interface};
  }
  publish(std::move(next));
}

void Door::announce(BuiltIn& built_in, const InterfaceId& provides) {
  const std::lock_guard lock(changing_);
  const auto* old = table_.load();
  auto next = old == nullptr ? std::make_unique<Table>() : std::make_unique<Table>(*old);
  (*next)[major_id(provides)] = {nullptr, provides, &built_in};
  publish(std::move(next));
}

void Door::publish(std::unique_ptr<Table> next) {
  const auto* old = table_.load();
  if (old != nullptr && *old == *next) return;  // as after nearly every swap
  table_.store(next.get(), std::memory_order_release);
  tables_.push_back(std::move(next));
}

bool Door::provides(const InterfaceId& wanted) const {
  const auto* table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return false;
  const auto found = table->find(major_id(wanted));
  if (found == table->end() || !found->second.interface.satisfies(wanted)) return false;
  return found->second.built_in != nullptr || found->second.slot->current() != nullptr;
}

std::vector<PlanInput::Provider> Door::providers() const {
  std::vector<PlanInput::Provider> all;
  if (const auto* table = table_.load(std::memory_order_acquire); table != nullptr)
    for (const auto& [id, provider] : *table)
      if (id.find(kSlotMark) == std::string::npos)
        all.push_back(provider.built_in != nullptr ? PlanInput::Provider{provider.interface, "the core", true}
                                                   : PlanInput::Provider{provider.interface, provider.slot->name(),
                                                                         provider.slot->current() != nullptr});
  return all;
}

flynn_status Door::pass(flynn_call call, flynn_reply* reply) {
  if (call.deadline_ns == 0) call.deadline_ns = Deadline::after(kCallTimeoutDefault).ns;
  const auto* table = table_.load(std::memory_order_acquire);
  const auto wanted = view(call.interface);
  // The plugin is asked for its interface, whatever slot it has.
  call.interface.size = std::min(wanted.find(kSlotMark), wanted.size());
  if (table != nullptr)
    if (const auto found = table->find(wanted); found != table->end())
      return found->second.built_in != nullptr ? found->second.built_in->handle(call, reply)
                                               : found->second.slot->pass(call, reply);
  const std::string message =
      "no plugin provides " + std::string(wanted) + " (flynn plugin list shows what each provides)";
  reply->set_error(reply, FLYNN_E_UNAVAILABLE, flynn_bytes{message.data(), message.size()}, flynn_bytes{nullptr, 0});
  return FLYNN_E_UNAVAILABLE;
}

Result<Reply> Door::call_as_operator(std::string_view interface, std::string_view method, const json::object& body,
                                     Deadline deadline) {
  const std::string text = json::serialize(body);
  constexpr std::string_view caller = "operator";
  flynn_call call{};
  call.struct_size = sizeof call;
  call.interface = {interface.data(), interface.size()};
  call.method = {method.data(), method.size()};
  call.body = {text.data(), text.size()};
  call.caller = {caller.data(), caller.size()};
  call.deadline_ns = deadline.ns;
  ReplySink sink;
  const auto status = pass(call, sink.table());
  return sink.take(status);
}

}  // namespace flynn::core
