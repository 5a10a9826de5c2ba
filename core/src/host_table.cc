#include "host_table.h"

#include <algorithm>
#include <cstring>

#include "door.h"
#include "listeners.h"

namespace flynn::core {
namespace {

std::string_view view(flynn_bytes bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

bool may_borrow(const std::vector<std::string>& mine, const std::string& name) {
  return std::find(mine.begin(), mine.end(), name) != mine.end();
}

flynn_status refuse(flynn_reply* reply, Code code, std::string_view message) {
  reply->set_error(reply, static_cast<flynn_status>(code), flynn_bytes{message.data(), message.size()},
                   flynn_bytes{nullptr, 0});
  return static_cast<flynn_status>(code);
}

}  // namespace

Generation::HostTable::HostTable(CoreServices& core_services, const Generation& owner)
    : services_(core_services), facts_(owner.facts_) {
  table_.struct_size = sizeof table_;
  table_.abi_major = FLYNN_ABI_MAJOR;
  table_.abi_minor = FLYNN_ABI_MINOR;
  table_.ctx = this;
  table_.call = &HostTable::call;
  table_.log = &HostTable::log;
  table_.listener = &HostTable::listener;
  table_.info = &HostTable::info;
  may_call_ = facts_.manifest.requires_;
  may_call_.insert(may_call_.end(), facts_.manifest.optional.begin(), facts_.manifest.optional.end());
  info_json_ = json::serialize(json::object{{"slot", facts_.slot},
                                            {"version", facts_.manifest.version},
                                            {"node", services_.node},
                                            {"data_dir", services_.data_dir_of(facts_.slot).string()},
                                            {"run_dir", services_.run_dir_of(facts_.slot).string()},
                                            {"generation", facts_.number}});
}

flynn_status Generation::HostTable::call(const flynn_host* host, const flynn_call* call, flynn_reply* reply) noexcept {
  const auto& me = self(host);
  if (me.revoked_.load(std::memory_order_acquire))
    return refuse(reply, Code::cancelled, "this plugin is being stopped");
  auto interface = view(call->interface);
  interface = interface.substr(0, interface.find('@'));
  const bool allowed = std::any_of(me.may_call_.begin(), me.may_call_.end(), [&](const InterfaceId& entry) {
    const auto slash = interface.find('/');
    return slash == entry.name.size() && interface.substr(0, slash) == entry.name &&
           interface.substr(slash + 1) == std::to_string(entry.major);
  });
  if (!allowed)
    return refuse(reply, Code::permission_denied,
                  me.facts_.slot + " may not call " + std::string(interface) + ": its manifest does not require it");
  if (interface == "flynn.node/1" && !me.facts_.manifest.operates)
    return refuse(reply, Code::permission_denied,
                  me.facts_.slot + " may not call flynn.node/1: its manifest lacks the capability \"operate\"");
  flynn_call passed{};
  std::memcpy(&passed, call, std::min<std::size_t>(call->struct_size, sizeof passed));
  passed.struct_size = sizeof passed;
  passed.caller = flynn_bytes{me.facts_.slot.data(), me.facts_.slot.size()};
  return me.services_.door.pass(passed, reply);
}

void Generation::HostTable::log(const flynn_host* host, std::int32_t level, flynn_bytes event,
                                flynn_bytes fields) noexcept {
  const auto& me = self(host);
  me.services_.log.write_json(level, me.facts_.slot, view(event), view(fields));
}

flynn_status Generation::HostTable::listener(const flynn_host* host, flynn_bytes name, int* fd,
                                             flynn_error* error) noexcept {
  const auto& me = self(host);
  const std::string wanted(view(name));
  const auto& mine = me.facts_.listeners;
  Result<UniqueFd> lent = Error{Code::permission_denied, me.facts_.slot + " may not borrow the socket " + wanted +
                                                             ": neither its manifest nor the configuration names it"};
  if (me.revoked_.load(std::memory_order_acquire))
    lent = Error{Code::cancelled, "this plugin is being stopped"};
  else if (may_borrow(mine, wanted) || may_borrow(mine, me.services_.listeners.permitted_by(wanted)))
    lent = me.services_.listeners.lend(wanted);
  if (lent) {
    *fd = lent->release();
    return FLYNN_OK;
  }
  if (error != nullptr) {
    const auto& words = lent.error().message;
    error->code = static_cast<flynn_status>(lent.error().code);
    error->message_size = static_cast<std::uint32_t>(std::min(words.size(), sizeof error->message));
    std::memcpy(error->message, words.data(), error->message_size);
  }
  return static_cast<flynn_status>(lent.error().code);
}

void Generation::HostTable::info(const flynn_host* host, flynn_reply* reply) noexcept {
  const auto& text = self(host).info_json_;
  reply->set_body(reply, flynn_bytes{text.data(), text.size()});
}

}  // namespace flynn::core
