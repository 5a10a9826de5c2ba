#include "plugin/route_certificates.h"

#include <set>

namespace flynn::router {
namespace {

constexpr std::string_view kRoutesPrefix = "routes/http/", kDefault = "routes/certificate";

void take(Certificates& certificates, const KeyValue& kv, Log& log) {
  const auto* document = kv.value.if_object();
  if (document == nullptr) return;
  Result<void> taken;
  if (kv.key == kDefault) {
    taken = certificates.set_default(string_or(*document, "cert"), string_or(*document, "key"));
  } else if (kv.key.starts_with(kRoutesPrefix)) {
    const auto* pair = find_object(*document, "certificate");
    taken = certificates.put(kv.key.substr(kRoutesPrefix.size()), string_or(*document, "domain"),
                             pair == nullptr ? "" : string_or(*pair, "cert"),
                             pair == nullptr ? "" : string_or(*pair, "key"));
  }
  if (!taken) log.warn("certificate_refused", {{"key", kv.key}, {"error", taken.error().message}});
}

}  // namespace

void replace_certificates(Certificates& certificates, const RangeResult& all, Log& log) {
  std::set<std::string> known;
  bool has_default = false;
  for (const auto& kv : all.kvs) {
    take(certificates, kv, log);
    has_default = has_default || kv.key == kDefault;
    if (kv.key.starts_with(kRoutesPrefix)) known.insert(kv.key.substr(kRoutesPrefix.size()));
  }
  certificates.keep_only([&](const std::string& id) { return known.contains(id); });
  if (!has_default) (void)certificates.set_default("", "");
}

void change_certificates(Certificates& certificates, const std::vector<StoreEvent>& events, Log& log) {
  for (const auto& event : events) {
    if (event.kind == EventKind::put)
      take(certificates, event.kv, log);
    else if (event.kv.key == kDefault)
      (void)certificates.set_default("", "");
    else if (event.kv.key.starts_with(kRoutesPrefix))
      certificates.remove(event.kv.key.substr(kRoutesPrefix.size()));
  }
}

}  // namespace flynn::router
