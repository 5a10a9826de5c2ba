// ImagesApi: the HTTP API of Flynn's tarreceive, as `flynn docker push` speaks it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"
#include "http/listener.h"
#include "http/stream_pump.h"
#include "images_config.h"
#include "layer_store.h"

namespace flynn::images {

/// Borrows door and log. Thread: figures [any]; the rest [control].
class ImagesApi {
 public:
  ImagesApi(Door& door, Log& log, ImagesConfig config);
  ~ImagesApi() { stop(); }

  /// `listening` is ours from here. All threads begin; requests are accepted from activate() on.
  Result<void> prepare(UniqueFd listening);
  void activate() { listener_.resume(); }
  /// Accepts no more, until activate().
  void quiesce() { listener_.quiesce(); }
  /// Waits for the uploads that are left.
  void drain(Deadline deadline);
  /// Gives up what is left.
  void stop();

  int uploads() const { return uploads_; }
  int conversions() const;

 private:
  std::optional<http::HttpResponse> before_body(http::HttpRequest& request);
  std::optional<http::HttpResponse> refusal(const http::HttpRequest& request);
  std::optional<http::HttpResponse> take_upload(http::HttpRequest& request);
  http::HttpResponse handle(http::HttpRequest& request);
  http::HttpResponse find_layer(const std::string& sha256);
  http::HttpResponse add_layer(http::HttpRequest& request, const std::string& sha256);
  http::HttpResponse add_artifact(const http::HttpRequest& request);
  Result<SquashedLayer> convert(int tar);
  Result<void> begin_conversion(Deadline deadline);
  void end_conversion();

  Door& door_;
  Log& log_;
  const ImagesConfig config_;
  LayerStore layers_;
  StopSignal stop_;
  std::atomic<int> uploads_{0};
  mutable std::mutex mutex_;
  std::condition_variable conversion_ended_;
  int conversions_ = 0;
  http::StreamPump pump_;
  http::HttpListener listener_;
};

}  // namespace flynn::images
