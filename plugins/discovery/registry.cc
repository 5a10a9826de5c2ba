#include "registry.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace flynn::discovery {
namespace {

// A stream holds this much unread before its reader counts as gone.
constexpr int kWatcherBufferBytes = 8 << 20;

struct KeyParts {
  std::string service, kind, id;
};

std::optional<KeyParts> parts_of(std::string_view key) {
  if (!key.starts_with(kServicesPrefix)) return std::nullopt;
  key.remove_prefix(kServicesPrefix.size());
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto rest = key.substr(slash + 1);
  const auto second = rest.find('/');
  return KeyParts{std::string(key.substr(0, slash)), std::string(rest.substr(0, second)),
                  second == std::string_view::npos ? std::string() : std::string(rest.substr(second + 1))};
}

std::string line(json::object document) { return json::serialize(document) + "\n"; }

std::string instance_line(const char* kind, const Instance& instance) {
  return line({{"kind", kind}, {"service", instance.service}, {"instance", to_json(instance)}});
}

std::string meta_line(const std::string& service, const json::value& meta, std::int64_t index) {
  return line({{"kind", "service_meta"}, {"service", service}, {"meta", meta}, {"index", index}});
}

std::string oldest(const std::vector<const Instance*>& instances) {
  const auto found =
      std::min_element(instances.begin(), instances.end(), [](auto a, auto b) { return a->index < b->index; });
  return found == instances.end() ? std::string() : (*found)->id;
}

}  // namespace

std::string service_folder(std::string_view service) {
  return std::string(kServicesPrefix) + std::string(service) + "/";
}
std::string config_key(std::string_view service) { return service_folder(service) + "config"; }
std::string instance_key(std::string_view service, std::string_view id) {
  return service_folder(service) + "instances/" + std::string(id);
}
std::string leader_key(std::string_view service) { return service_folder(service) + "leader"; }
std::string meta_key(std::string_view service) { return service_folder(service) + "meta"; }

json::object to_json(const Instance& instance) {
  return {{"service", instance.service}, {"id", instance.id},     {"addr", instance.addr},
          {"proto", instance.proto},     {"meta", instance.meta}, {"created_at", instance.created_at},
          {"index", instance.index}};
}

std::optional<Instance> instance_of(const KeyValue& kv) {
  const auto parts = parts_of(kv.key);
  const auto* value = kv.value.if_object();
  if (!parts || parts->kind != "instances" || value == nullptr) return std::nullopt;
  const auto* meta = find_object(*value, "meta");
  return Instance{parts->service,
                  parts->id,
                  string_or(*value, "addr"),
                  string_or(*value, "proto", "tcp"),
                  meta == nullptr ? json::object{} : *meta,
                  string_or(*value, "created_at"),
                  kv.create_revision};
}

ServiceView view_of(const RangeResult& keys_of_service, std::string_view service) {
  ServiceView view;
  view.known = !keys_of_service.kvs.empty();
  std::string manual;
  for (const auto& kv : keys_of_service.kvs) {
    if (auto instance = instance_of(kv)) view.instances.push_back(std::move(*instance));
    if (kv.key == config_key(service) && kv.value.is_object())
      view.manual = string_or(kv.value.get_object(), "leader_type") == "manual";
    if (kv.key == leader_key(service) && kv.value.is_object()) manual = string_or(kv.value.get_object(), "id");
  }
  std::sort(view.instances.begin(), view.instances.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  const bool lives =
      std::any_of(view.instances.begin(), view.instances.end(), [&](const auto& one) { return one.id == manual; });
  if (lives || view.manual)
    view.leader = manual;
  else if (!view.instances.empty())
    view.leader = view.instances.front().id;
  return view;
}

std::string Registry::leader_of(const Service& service) {
  if (service.manual || service.instances.contains(service.manual_leader)) return service.manual_leader;
  std::vector<const Instance*> all;
  for (const auto& [id, instance] : service.instances) all.push_back(&instance);
  return oldest(all);
}

std::string Registry::leader_line(const std::string& name, const Service& service) {
  const auto id = leader_of(service);
  json::object document{{"kind", "leader"}, {"service", name}, {"id", id.empty() ? json::value() : json::value(id)}};
  if (const auto found = service.instances.find(id); found != service.instances.end())
    document["instance"] = to_json(found->second);
  return line(std::move(document));
}

// One key's change, and the lines that tell it.
void Registry::change(const StoreEvent& event, std::string& text, std::string& name) {
  const auto parts = parts_of(event.kv.key);
  if (!parts) return;
  name = parts->service;
  auto& service = services_[name];
  const auto leader_before = leader_of(service);
  const bool put = event.kind == EventKind::put;
  if (parts->kind == "leader") {
    service.manual_leader =
        put && event.kv.value.is_object() ? string_or(event.kv.value.get_object(), "id") : std::string();
  } else if (parts->kind == "config") {
    service.made = put;
    service.manual =
        put && event.kv.value.is_object() && string_or(event.kv.value.get_object(), "leader_type") == "manual";
  } else if (parts->kind == "meta") {
    const auto* value = put ? event.kv.value.if_object() : nullptr;
    const auto* meta = value == nullptr ? nullptr : value->if_contains("meta");
    service.meta = meta == nullptr ? json::value() : *meta;
    service.meta_index = meta == nullptr ? 0 : event.kv.mod_revision;
    if (meta != nullptr) text += meta_line(name, service.meta, service.meta_index);
  } else if (parts->kind == "instances") {
    const auto known = service.instances.find(parts->id);
    if (auto instance = put ? instance_of(event.kv) : std::nullopt) {
      text += instance_line(known == service.instances.end() ? "up" : "update", *instance);
      service.instances[parts->id] = std::move(*instance);
    } else if (known != service.instances.end()) {
      text += instance_line("down", known->second);
      service.instances.erase(known);
    }
  }
  if (leader_of(service) != leader_before) text += leader_line(name, service);
}

void Registry::apply_one(const StoreEvent& event) {
  std::string text, service;
  change(event, text, service);
  if (!text.empty()) tell(service, text);
}

void Registry::apply(const std::vector<StoreEvent>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) apply_one(event);
}

// After a gap: what has gone is told as well.
void Registry::replace(const RangeResult& all) {
  const std::lock_guard lock(mutex_);
  std::vector<StoreEvent> events;
  for (const auto& [name, service] : services_)
    for (const auto& [id, instance] : service.instances) {
      const auto key = instance_key(name, id);
      const bool there = std::any_of(all.kvs.begin(), all.kvs.end(), [&](const auto& kv) { return kv.key == key; });
      KeyValue gone;
      gone.key = key;
      if (!there) events.push_back({EventKind::erase, std::move(gone)});
    }
  for (const auto& kv : all.kvs) {
    const auto parts = parts_of(kv.key);
    const auto instance = instance_of(kv);
    // What is told again is no harm; an instance would look as if it had changed.
    const bool same = parts && instance && services_[parts->service].instances.contains(parts->id) &&
                      to_json(services_[parts->service].instances[parts->id]) == to_json(*instance);
    if (!same) events.push_back({EventKind::put, kv});
  }
  for (const auto& event : events) apply_one(event);
  read_ = true;
  was_read_.notify_all();
}

Result<void> Registry::wait_read(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (was_read_.wait_for(lock, deadline.left(), [this] { return read_; })) return {};
  return Error{Code::unavailable, "the services have not been read from the store yet; try again"};
}

void Registry::tell(const std::string& service, const std::string& lines) {
  watchers_.remove_if([&](const Watcher& watcher) {
    if (watcher.service != "*" && watcher.service != service) return false;
    const auto sent = ::send(watcher.fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent != static_cast<ssize_t>(lines.size());
  });
}

// A service that never changes never shows that its watcher has left: who comes looks for those who have gone.
void Registry::forget_gone() {
  watchers_.remove_if([](const Watcher& watcher) {
    pollfd entry{watcher.fd.get(), POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
  });
}

std::string Registry::snapshot_lines(const std::string& wanted) const {
  std::string text;
  for (const auto& [name, service] : services_) {
    if (wanted != "*" && wanted != name) continue;
    std::vector<const Instance*> order;
    for (const auto& [id, instance] : service.instances) order.push_back(&instance);
    std::sort(order.begin(), order.end(), [](auto a, auto b) { return a->index < b->index; });
    for (const auto* instance : order) text += instance_line("up", *instance);
    if (!leader_of(service).empty()) text += leader_line(name, service);
    if (!service.meta.is_null()) text += meta_line(name, service.meta, service.meta_index);
  }
  return text + line({{"kind", "current"}});
}

Result<UniqueFd> Registry::watch(const std::string& service) {
  auto ends = make_stream();
  if (!ends) return ends.error();
  // Root may go past the system's limit; others get what the limit allows.
  ::setsockopt(ends->first.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kWatcherBufferBytes, sizeof kWatcherBufferBytes);
  const std::lock_guard lock(mutex_);
  const auto text = snapshot_lines(service);
  const auto sent = ::send(ends->first.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(text.size()))
    return Error{Code::resource_exhausted,
                 "the list of instances is larger than a stream holds: watch single services"};
  forget_gone();
  watchers_.push_back({service, std::move(ends->first)});
  return std::move(ends->second);
}

void Registry::close_watchers() {
  const std::lock_guard lock(mutex_);
  watchers_.clear();
}

std::size_t Registry::watchers() const {
  const std::lock_guard lock(mutex_);
  return watchers_.size();
}

ServiceView Registry::view(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  ServiceView view;
  const auto found = services_.find(name);
  if (found == services_.end()) return view;
  const auto& service = found->second;
  view.known = service.made || !service.instances.empty();
  view.manual = service.manual;
  view.leader = leader_of(service);
  for (const auto& [id, instance] : service.instances) view.instances.push_back(instance);
  std::sort(view.instances.begin(), view.instances.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return view;
}

}  // namespace flynn::discovery
