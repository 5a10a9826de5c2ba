#include "images_api.h"

#include "image_manifest.h"
#include "incoming_layer.h"

namespace flynn::images {
namespace {

using http::HttpRequest;
using http::HttpResponse;

constexpr std::size_t kManifestBytesMax = std::size_t{1} << 20;
// Small requests are served while every upload has a worker.
constexpr int kSpareWorkers = 4;

HttpResponse json_answer(const json::value& body, int status = 200) {
  return {status, "application/json", json::serialize(body), {}, nullptr};
}

HttpResponse bare(int status) { return {status, "", "", {}, nullptr}; }

HttpResponse failure(int status, const char* code, const std::string& message, bool retry = false) {
  return json_answer(json::object{{"code", code}, {"message", message}, {"retry", retry}}, status);
}

HttpResponse failure(const Error& error) {
  switch (error.code) {
    case Code::invalid_argument:
      return failure(400, "validation_error", error.message);
    case Code::resource_exhausted:
      return failure(507, "unknown_error", error.message);
    case Code::unavailable:
    case Code::deadline_exceeded:
      return failure(503, "service_unavailable", error.message, true);
    default:
      return failure(500, "unknown_error", error.message);
  }
}

bool is_layer(const HttpRequest& request) { return request.segments.size() == 2 && request.segments[0] == "layer"; }

http::ListenerOptions listener_options(const ImagesConfig& config) {
  http::ListenerOptions options;
  options.name = "images";
  options.workers = config.uploads_max + kSpareWorkers;
  options.request_bytes_max = kManifestBytesMax;
  return options;
}

}  // namespace

ImagesApi::ImagesApi(Door& door, Log& log, ImagesConfig config)
    : door_(door),
      log_(log),
      config_(std::move(config)),
      layers_(door),
      pump_("images"),
      listener_(
          [this] {
            auto options = listener_options(config_);
            options.before_body = [this](HttpRequest& request) { return before_body(request); };
            return options;
          }(),
          [this](HttpRequest& request) { return handle(request); }, pump_) {}

Result<void> ImagesApi::prepare(UniqueFd listening) {
  if (auto problem = pump_.start(); !problem.empty()) return Error{Code::internal, problem};
  if (auto problem = listener_.prepare(std::move(listening)); !problem.empty()) return Error{Code::internal, problem};
  return {};
}

void ImagesApi::drain(Deadline deadline) {
  listener_.drain(std::chrono::steady_clock::now() +
                  std::min<std::chrono::nanoseconds>(deadline.left(), std::chrono::hours(1)));
}

void ImagesApi::stop() {
  stop_.ask();
  conversion_ended_.notify_all();
  listener_.stop();
  pump_.stop();
}

int ImagesApi::conversions() const {
  const std::lock_guard lock(mutex_);
  return conversions_;
}

/// Whoever may not make artifacts sends no body: it could name any layer of the cluster.
std::optional<HttpResponse> ImagesApi::refusal(const HttpRequest& request) {
  auto answer = door_.call("flynn.controller/1", "Authorize",
                           {{"authorization", request.authorization}, {"method", "POST"}, {"path", "/artifacts"}});
  if (!answer) return failure(answer.error().context("ask the controller about the key"));
  if (bool_or(answer->body, "allowed")) return std::nullopt;
  if (!bool_or(answer->body, "known")) return bare(401);
  return failure(403, "forbidden", string_or(answer->body, "reason", "the key may make no images"));
}

std::optional<HttpResponse> ImagesApi::before_body(HttpRequest& request) {
  if (auto refused = refusal(request)) return refused;
  if (request.method != "POST" || !is_layer(request)) return std::nullopt;
  if (!is_hex_digest(request.segments[1]))
    return failure(400, "validation_error", "the layer's id must be the SHA-256 of its tar, 64 hex digits");
  return take_upload(request);
}

std::optional<HttpResponse> ImagesApi::take_upload(HttpRequest& request) {
  if (request.content_length > config_.layer_bytes_max)
    return failure(400, "request_body_too_big",
                   "the layer is larger than " + std::to_string(config_.layer_bytes_max) +
                       " bytes (layer_bytes_max of the plugin images)");
  if (uploads_.fetch_add(1) >= config_.uploads_max) {
    --uploads_;
    return failure(503, "service_unavailable",
                   "as many layers as allowed are being received (uploads_max of the plugin images)", true);
  }
  auto opened = IncomingLayer::open(config_.data_dir, config_.layer_bytes_max, [this] { --uploads_; });
  if (!opened) {
    --uploads_;
    return failure(opened.error());
  }
  request.sink = std::move(*opened);
  return std::nullopt;
}

HttpResponse ImagesApi::handle(HttpRequest& request) {
  if (is_layer(request) && request.method == "GET") return find_layer(request.segments[1]);
  if (is_layer(request) && request.method == "POST") return add_layer(request, request.segments[1]);
  if (request.segments.size() == 1 && request.segments[0] == "artifact" && request.method == "POST")
    return add_artifact(request);
  return bare(404);
}

HttpResponse ImagesApi::find_layer(const std::string& sha256) {
  if (!is_hex_digest(sha256)) return bare(404);
  auto layer = layers_.find(sha256);
  if (!layer) return failure(layer.error());
  return *layer ? json_answer(**layer) : bare(404);
}

HttpResponse ImagesApi::add_layer(HttpRequest& request, const std::string& sha256) {
  auto* incoming = dynamic_cast<IncomingLayer*>(request.sink.get());
  if (incoming == nullptr) return failure(500, "unknown_error", "the upload was not received");
  auto tar = incoming->finish(sha256);
  if (!tar) return failure(tar.error());
  auto layer = convert(tar->get());
  if (!layer) {
    log_.warn("layer_not_made", {{"sha256", sha256}, {"error", layer.error().message}});
    return failure(layer.error());
  }
  auto kept = layers_.keep(sha256, *layer);
  if (!kept) return failure(kept.error());
  log_.info("layer_added", {{"sha256", sha256}, {"layer", layer->id}, {"length", layer->length}});
  return json_answer(*kept);
}

Result<void> ImagesApi::begin_conversion(Deadline deadline) {
  std::unique_lock lock(mutex_);
  while (conversions_ >= config_.conversions_max && !stop_.asked() && !deadline.passed())
    conversion_ended_.wait_for(lock, std::chrono::milliseconds(deadline.left_ms(1000)));
  if (stop_.asked()) return Error{Code::unavailable, "the plugin images is being stopped"};
  if (deadline.passed()) return Error{Code::unavailable, "no conversion could begin in time"};
  ++conversions_;
  return {};
}

void ImagesApi::end_conversion() {
  {
    const std::lock_guard lock(mutex_);
    --conversions_;
  }
  conversion_ended_.notify_one();
}

Result<SquashedLayer> ImagesApi::convert(int tar) {
  const Deadline deadline = Deadline::after(config_.convert_timeout);
  if (auto begun = begin_conversion(deadline); !begun) return begun.error();
  PlanLimits limits;
  limits.content_bytes_max = config_.layer_bytes_max;
  // Its turn ends however the conversion does: memory may run out in it.
  struct Turn {
    ImagesApi& api;
    ~Turn() { api.end_conversion(); }
  } const turn{*this};
  return squash(tar, config_.data_dir, limits, deadline, stop_);
}

HttpResponse ImagesApi::add_artifact(const HttpRequest& request) {
  auto manifest = parse_json_object(request.body);
  if (!manifest) return failure(400, "syntax_error", manifest.error().message);
  auto layers = layers_of(*manifest);
  if (!layers) return failure(layers.error());
  for (const std::string& id : *layers) {
    auto there = layers_.has(id);
    if (!there) return failure(there.error());
    if (!*there)
      return failure(400, "validation_error", "manifest names the layer " + id + ", which this cluster does not have");
  }
  auto answer = door_.call("flynn.controller/1", "Request",
                           {{"method", "POST"}, {"path", "/artifacts"}, {"body", artifact_of(*manifest)}});
  if (!answer) return failure(answer.error().context("register the artifact"));
  const json::value* body = answer->body.if_contains("body");
  const auto status = static_cast<int>(int_or(answer->body, "status", 500));
  return body == nullptr || body->is_null() ? bare(status) : json_answer(*body, status);
}

}  // namespace flynn::images
