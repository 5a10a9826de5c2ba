// flynn.images/1: images by HTTP.
#include <memory>

#include "announcement.h"
#include "flynn/sdk/plugin.h"
#include "images_api.h"

namespace flynn::images {
namespace {

class ImagesPlugin : public Plugin {
 public:
  explicit ImagesPlugin(Host& host) : Plugin(host) {
    on("flynn.images/1", "Status", [this](Call&) -> Result<Reply> {
      return Reply{{{"uploads", api_ ? api_->uploads() : 0}, {"conversions", api_ ? api_->conversions() : 0}}};
    });
  }

  Result<void> configure(const json::object& document) override {
    if (api_) return Error{Code::restart_required, "takes effect by a swap"};
    auto info = host().info();
    if (!info) return info.error();
    config_.data_dir = info->data_dir;
    config_.layer_bytes_max = int_or(document, "layer_bytes_max", config_.layer_bytes_max);
    config_.conversions_max = static_cast<int>(int_or(document, "conversions_max", config_.conversions_max));
    config_.uploads_max = static_cast<int>(int_or(document, "uploads_max", config_.uploads_max));
    config_.convert_timeout =
        std::chrono::milliseconds(int_or(document, "convert_timeout_ms", config_.convert_timeout.count()));
    return {};
  }

  Result<void> start() override {
    api_ = std::make_unique<ImagesApi>(host(), host(), config_);
    return {};
  }

  Result<void> activate() override {
    auto listening = host().listener("images.http");
    if (!listening) {
      // Without the socket in the configuration there is nothing to do, and everything else works.
      if (listening.error().code != Code::not_found && listening.error().code != Code::permission_denied)
        return listening.error();
      host().info("http_off", {{"why", listening.error().message}});
      return {};
    }
    announcement_ = std::make_unique<Announcement>(host(), host(), listening->get());
    return api_->start(std::move(*listening));
  }

  Result<void> quiesce() override {
    announcement_.reset();
    api_->quiesce();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    api_->drain(deadline);
    return {};
  }

  Result<void> stop(Deadline) override {
    announcement_.reset();
    api_.reset();
    return {};
  }

 private:
  ImagesConfig config_;
  std::unique_ptr<ImagesApi> api_;
  std::unique_ptr<Announcement> announcement_;
};

}  // namespace
}  // namespace flynn::images

FLYNN_PLUGIN(flynn::images::ImagesPlugin)
