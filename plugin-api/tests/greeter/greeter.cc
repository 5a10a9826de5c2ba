#include <stdexcept>

#include "flynn/sdk/plugin.h"

namespace {

class Greeter : public flynn::Plugin {
 public:
  explicit Greeter(flynn::Host& host) : Plugin(host) {
    on("com.acme.greeter/1", "Greet", [this](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      auto name = flynn::require_string(call.body, "name");
      if (!name) return name.error();
      return flynn::Reply{{{"text", greeting_ + " " + *name}}};
    });
    on("com.acme.greeter/1", "Throw",
       [](flynn::Call&) -> flynn::Result<flynn::Reply> { throw std::runtime_error("thrown behind the wall"); });
    on("com.acme.greeter/1", "Echo", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      flynn::Reply reply{call.body};
      reply.fds = std::move(call.fds);
      return reply;
    });
  }

  flynn::Result<void> configure(const flynn::json::object& config) override {
    greeting_ = flynn::string_or(config, "greeting", "hello");
    return {};
  }

 private:
  std::string greeting_ = "hello";
};

}  // namespace

FLYNN_PLUGIN(Greeter)
