// mutant: one of our plugins with one lie put between it and the host, MUTANT_SIN. What the contract's suite says of it
// shows that the suite looks. The plugin itself is loaded from where it was built, MUTANT_OF.
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <mutex>
#include <string>

#include "flynn/plugin.h"
#include "flynn/sdk/json.h"
#include "mutant_facts.h"

namespace {

using flynn::mutant::kBody, flynn::mutant::kMethod, flynn::mutant::kPlugin, flynn::mutant::kSin, flynn::mutant::Sin;

struct Mutant;

// What the plugin takes for its host. The context is the host's own, so what is not replaced works as ever.
struct Facade {
  flynn_host table{};
  Mutant* mutant = nullptr;
};

struct Mutant {
  const flynn_host* host = nullptr;
  Facade facade;
  void* self = nullptr;
  const flynn_instance_vt* real = nullptr;
  flynn_instance_vt shown{};
  std::mutex mutex;
  std::string first;  // reply to kMethod
};

Mutant& of(void* self) { return *static_cast<Mutant*>(self); }
flynn_bytes bytes(const std::string& text) { return {text.data(), text.size()}; }
std::string text(flynn_bytes view) { return {view.data, view.size}; }

void say(flynn_reply* reply, const std::string& body) { reply->set_body(reply, bytes(body)); }

// A reply that is looked at before it is passed on; descriptors go straight through.
struct Overheard {
  flynn_reply table{};
  flynn_reply* target = nullptr;
  std::string body, words;
  flynn_status failure = FLYNN_OK;

  explicit Overheard(flynn_reply* reply) : target(reply) {
    table.struct_size = sizeof table;
    table.ctx = this;
    table.set_body = [](flynn_reply* to, flynn_bytes json) { static_cast<Overheard*>(to->ctx)->body = text(json); };
    table.add_fd = [](flynn_reply* to, int fd) {
      auto* real = static_cast<Overheard*>(to->ctx)->target;
      real->add_fd(real, fd);
    };
    table.set_error = [](flynn_reply* to, flynn_status code, flynn_bytes message, flynn_bytes) {
      static_cast<Overheard*>(to->ctx)->failure = code;
      static_cast<Overheard*>(to->ctx)->words = text(message);
    };
  }
};

flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  auto& mutant = of(self);
  const bool meant = text(call->method) == kMethod;
  if (meant && kSin == Sin::idle) return say(reply, kBody), FLYNN_OK;
  if (!meant || (kSin != Sin::forgives && kSin != Sin::stale)) return mutant.real->handle(mutant.self, call, reply);
  Overheard heard(reply);
  const auto status = mutant.real->handle(mutant.self, call, &heard.table);
  if (status != FLYNN_OK || heard.failure != FLYNN_OK) {
    if (kSin == Sin::forgives) return say(reply, kBody), FLYNN_OK;
    reply->set_error(reply, heard.failure, bytes(heard.words), {});
    return status;
  }
  const std::lock_guard lock(mutant.mutex);
  if (mutant.first.empty()) mutant.first = heard.body;
  say(reply, kSin == Sin::stale ? mutant.first : heard.body);
  return FLYNN_OK;
}

// The plugin's own calls: what it asks of others by kMethod is answered, and never asked.
flynn_status call_out(const flynn_host* host, const flynn_call* call, flynn_reply* reply) {
  const auto& mutant = *reinterpret_cast<const Facade*>(host)->mutant;
  if (kSin == Sin::mute && text(call->method) == kMethod) return say(reply, kBody), FLYNN_OK;
  return mutant.host->call(mutant.host, call, reply);
}

// A socket that listens where nobody looks.
flynn_status lend(const flynn_host* host, flynn_bytes name, int* fd, flynn_error* error) {
  const auto& mutant = *reinterpret_cast<const Facade*>(host)->mutant;
  if (kSin != Sin::deaf) return mutant.host->listener(mutant.host, name, fd, error);
  *fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ::listen(*fd, 16);
  return FLYNN_OK;
}

// A data folder for each instance: nothing of what one wrote is seen by the next.
void tell(const flynn_host* host, flynn_reply* reply) {
  const auto& mutant = *reinterpret_cast<const Facade*>(host)->mutant;
  if (kSin != Sin::forgets) return mutant.host->info(mutant.host, reply);
  Overheard heard(reply);
  mutant.host->info(mutant.host, &heard.table);
  auto facts = flynn::parse_json_object(heard.body);
  if (!facts) return;
  const auto folder = flynn::string_or(*facts, "data_dir") + "/" + std::to_string(flynn::int_or(*facts, "generation"));
  ::mkdir(folder.c_str(), 0711);
  (*facts)["data_dir"] = folder;
  say(reply, boost::json::serialize(*facts));
}

template <auto Member, typename... Rest>
flynn_status forward(void* self, Rest... rest) {
  return (of(self).real->*Member)(of(self).self, rest...);
}

// As the plugin's own table, with what it lacks left out.
flynn_instance_vt shown_for(const flynn_instance_vt& real) {
  using Vt = flynn_instance_vt;
  flynn_instance_vt vt{};
  vt.struct_size = sizeof vt;
  vt.handle = handle;
  vt.destroy = [](void* self) {
    of(self).real->destroy(of(self).self);
    delete &of(self);
  };
  if (real.configure) vt.configure = forward<&Vt::configure, flynn_bytes, flynn_error*>;
  if (real.import_state)
    vt.import_state = forward<&Vt::import_state, flynn_bytes, const int*, std::uint32_t, flynn_error*>;
  if (real.start) vt.start = forward<&Vt::start, flynn_error*>;
  if (real.health) vt.health = forward<&Vt::health, flynn_error*>;
  if (real.activate) vt.activate = forward<&Vt::activate, flynn_error*>;
  if (real.quiesce) vt.quiesce = forward<&Vt::quiesce, flynn_error*>;
  if (real.resume) vt.resume = forward<&Vt::resume, flynn_error*>;
  if (real.export_state) vt.export_state = forward<&Vt::export_state, flynn_reply*, flynn_error*>;
  if (real.drain) vt.drain = forward<&Vt::drain, std::uint64_t, flynn_error*>;
  if (real.stop) vt.stop = forward<&Vt::stop, std::uint64_t, flynn_error*>;
  return vt;
}

const flynn_plugin* real_plugin() {
  static const auto* plugin = []() -> const flynn_plugin* {
    void* image = ::dlopen(kPlugin, RTLD_NOW | RTLD_LOCAL);
    if (image == nullptr) return nullptr;
    auto* entry = reinterpret_cast<decltype(&flynn_plugin_entry_1)>(::dlsym(image, "flynn_plugin_entry_1"));
    return entry == nullptr ? nullptr : entry();
  }();
  return plugin;
}

flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  const auto* plugin = real_plugin();
  if (plugin == nullptr) return FLYNN_E_INTERNAL;
  auto* mutant = new Mutant;
  mutant->host = host;
  mutant->facade.table = *host;
  mutant->facade.table.call = call_out;
  mutant->facade.table.listener = lend;
  mutant->facade.table.info = tell;
  mutant->facade.mutant = mutant;
  const auto made = plugin->create(&mutant->facade.table, &mutant->self, &mutant->real, error);
  if (made != FLYNN_OK) {
    delete mutant;
    return made;
  }
  mutant->shown = shown_for(*mutant->real);
  *self = mutant;
  *vt = &mutant->shown;
  return FLYNN_OK;
}

const flynn_plugin kMutant{sizeof(flynn_plugin), FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};

}  // namespace

extern "C" __attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) { return &kMutant; }
