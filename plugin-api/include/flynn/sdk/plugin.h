// Plugin: the base of every C++ plugin, and FLYNN_PLUGIN, which makes the exported entry of it.
//
//   class Greeter : public flynn::Plugin {
//    public:
//     explicit Greeter(flynn::Host& host) : Plugin(host) {
//       on("com.acme.greeter/1", "Greet", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
//         auto name = flynn::require_string(call.body, "name");
//         if (!name) return name.error();
//         return flynn::Reply{{{"text", "hello " + *name}}};
//       });
//     }
//   };
//   FLYNN_PLUGIN(Greeter)
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "flynn/sdk/host.h"

namespace flynn {

/// Lifecycle and its threads: see flynn_instance_vt in flynn/plugin.h. Every function may throw; the wall in front of
/// the ABI turns an exception into `internal` with its text. The constructor only remembers `host` and registers
/// methods.
class Plugin {
 public:
  explicit Plugin(Host& host) : host_(host) {}
  virtual ~Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  virtual Result<void> configure(const json::object&) { return {}; }
  virtual Result<void> import_state(Call&) { return {}; }  // body and fds as export_state gave them
  virtual Result<void> start() { return {}; }
  virtual Result<void> health() { return {}; }
  virtual Result<void> activate() { return {}; }
  virtual Result<void> quiesce() { return {}; }
  virtual Result<void> resume() { return activate(); }
  virtual Result<Reply> export_state() { return Reply{}; }
  virtual Result<void> drain(Deadline) { return {}; }
  /// Connections for another instance of this slot, see flynn_instance_vt. The default has none: they are drained.
  virtual Result<Reply> hand_over(unsigned share_permille, Deadline);
  virtual Result<void> take_over(Call& connections);
  /// Ends and joins everything. An error keeps the image mapped for good.
  virtual Result<void> stop(Deadline) { return {}; }

  /// The default finds the method registered with on(); `unimplemented` otherwise. [any]
  virtual Result<Reply> handle(Call& call);

 protected:
  using Method = std::function<Result<Reply>(Call&)>;
  /// Only in the constructor.
  void on(std::string interface, std::string method, Method function);
  Host& host() { return host_; }

 private:
  Host& host_;
  std::map<std::pair<std::string, std::string>, Method, std::less<>> methods_;
};

namespace abi1 {

using Factory = std::unique_ptr<Plugin> (*)(Host&);
flynn_status create(Factory factory, const flynn_host* host, void** self, const flynn_instance_vt** vt,
                    flynn_error* error);

}  // namespace abi1
}  // namespace flynn

#define FLYNN_PLUGIN(Type)                                                                                          \
  extern "C" __attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {                \
    static const flynn_plugin descriptor = {                                                                        \
        sizeof(flynn_plugin), FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR,                                                     \
        [](const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) -> flynn_status { \
          return ::flynn::abi1::create(                                                                             \
              [](::flynn::Host& h) -> std::unique_ptr<::flynn::Plugin> { return std::make_unique<Type>(h); }, host, \
              self, vt, error);                                                                                     \
        }};                                                                                                         \
    return &descriptor;                                                                                             \
  }
