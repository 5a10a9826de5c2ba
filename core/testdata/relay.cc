// relay: passes on a call that its own call names. A changed "size" takes effect by a swap only, the rest at once.
#include "flynn/sdk/plugin.h"

namespace {

class Relay : public flynn::Plugin {
 public:
  explicit Relay(flynn::Host& host) : Plugin(host) {
    on("test.relay/1", "Version", [](flynn::Call&) -> flynn::Result<flynn::Reply> {
      return flynn::Reply{{{"version", RELAY_VERSION}}};
    });
    on("test.relay/1", "Config", [this](flynn::Call&) -> flynn::Result<flynn::Reply> { return flynn::Reply{config_}; });
    on("test.relay/1", "Relay", [this](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      const auto* body = flynn::find_object(call.body, "body");
      return this->host().call(flynn::string_or(call.body, "interface"), flynn::string_or(call.body, "method"),
                               body == nullptr ? flynn::json::object{} : *body);
    });
  }

  flynn::Result<void> configure(const flynn::json::object& config) override {
    if (started_ && flynn::int_or(config, "size") != flynn::int_or(config_, "size"))
      return flynn::Error{flynn::Code::restart_required, "a size is for life"};
    config_ = config;
    return {};
  }
  flynn::Result<void> start() override {
    started_ = true;
    return {};
  }

 private:
  flynn::json::object config_;
  bool started_ = false;
};

}  // namespace

FLYNN_PLUGIN(Relay)
