// flynn.images/1: images by HTTP.
#include <memory>

#include "flynn/sdk/plugin.h"
#include "http/announcement.h"
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
    return prepare();
  }

  Result<void> activate() override {
    if (!announcement_) return {};
    api_->activate();
    announcement_->activate();
    return {};
  }

  Result<void> quiesce() override {
    api_->quiesce();
    if (announcement_) announcement_->quiesce();
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
  // In a swap the other instance works on while we make threads: nothing is accepted or announced before activate().
  Result<void> prepare() {
    auto api = std::make_unique<ImagesApi>(host(), host(), config_);
    if (auto listening = host().listener("images.http")) {
      const http::AnnouncedService service{"images", "images", "images-announce"};
      announcement_ = std::make_unique<http::Announcement>(host(), host(), service, listening->get());
      if (auto prepared = api->prepare(std::move(*listening)); !prepared) return prepared;
    } else {
      // Without the socket in the configuration there is nothing to do, and everything else works.
      if (listening.error().code != Code::not_found && listening.error().code != Code::permission_denied)
        return listening.error();
      host().info("http_off", {{"why", listening.error().message}});
    }
    api_ = std::move(api);
    return {};
  }

  ImagesConfig config_;
  std::unique_ptr<ImagesApi> api_;
  std::unique_ptr<http::Announcement> announcement_;
};

}  // namespace
}  // namespace flynn::images

FLYNN_PLUGIN(flynn::images::ImagesPlugin)
