// The plugin: flynn.blobstore/1 over BlobFiles and BlobHttp.
#include <fcntl.h>

#include "blob_files.h"
#include "blob_http.h"
#include "flynn/sdk/plugin.h"
#include "lent_socket.h"

namespace flynn::blobstore {
namespace {

constexpr const char* kInterface = "flynn.blobstore/1";
constexpr const char* kListener = "blobstore.http";

json::object info_document(const BlobInfo& info) {
  return {{"size", info.size}, {"sha512_256", info.sha512_256}, {"created_at", info.created_at}};
}

class Blobstore : public Plugin {
 public:
  explicit Blobstore(Host& plugin_host) : Plugin(plugin_host) {
    on(kInterface, "Put", [this](Call& call) { return put(call); });
    on(kInterface, "Get", [this](Call& call) { return get(call, true); });
    on(kInterface, "Stat", [this](Call& call) { return get(call, false); });
    on(kInterface, "Delete", [this](Call& call) { return remove(call); });
    on(kInterface, "List", [this](Call& call) { return list(call); });
    on(kInterface, "Status", [this](Call&) { return status(); });
  }

  Result<void> configure(const json::object& config) override {
    if (files_) return Error{Code::restart_required, "the blobstore's HTTP server takes options at its start only"};
    serve_http_ = bool_or(config, "http", true);
    allow_remote_ = bool_or(config, "allow_remote", false);
    options_.read_only = bool_or(config, "http_read_only", false);
    options_.threads_max = static_cast<int>(int_or(config, "http_threads_max", options_.threads_max));
    return {};
  }

  Result<void> start() override {
    auto info = host().info();
    if (!info) return info.error();
    auto files = BlobFiles::open(info->data_dir);
    if (!files) return files.error().context("open the blobs");
    files_ = std::move(*files);
    if (files_->leftovers_removed() > 0)
      host().write(LogLevel::info, "blob_leftovers_removed", {{"count", files_->leftovers_removed()}});
    http_ = std::make_unique<BlobHttp>(*files_, options_);
    return {};
  }

  Result<void> activate() override {
    if (!serve_http_) return {};
    auto listener = host().listener(kListener);
    if (!listener) {
      // Calls are what the platform needs; without a socket it goes on by calls alone.
      host().warn("blob_http_off", {{"listener", kListener}, {"error", listener.error().message}});
      return {};
    }
    if (!allow_remote_ && !is_loopback(listener->get()))
      return Error{Code::failed_precondition,
                   "the listener blobstore.http is not on loopback, and whoever reaches it may "
                   "write blobs: bind it to 127.0.0.1 or set allow_remote"};
    // Another version may take a connection between poll and accept. The flag is shared by all holders, which all
    // need it.
    if (::fcntl(listener->get(), F_SETFL, O_NONBLOCK) != 0)
      return errno_error(errno, "use the listener blobstore.http");
    http_->start(std::move(*listener));
    return {};
  }

  Result<void> quiesce() override {
    if (http_) http_->stop_accepting();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    if (http_) http_->drain(deadline);
    return {};
  }

  Result<void> stop(Deadline) override {
    if (http_) http_->stop();
    return {};
  }

 private:
  Result<Reply> put(Call& call) {
    auto name = require_string(call.body, "name");
    if (!name) return name.error();
    if (call.fds.empty()) return Error{Code::invalid_argument, "Put needs a descriptor to read the blob from"};
    auto info = files_->put(*name, call.fds[0].get(), find_string(call.body, "sha512_256"), call.deadline);
    if (!info) return info.error();
    return Reply{{{"size", info->size}, {"sha512_256", info->sha512_256}}};
  }

  Result<Reply> get(Call& call, bool with_file) {
    auto name = require_string(call.body, "name");
    if (!name) return name.error();
    auto blob = files_->get(*name);
    if (!blob) return blob.error();
    Reply reply{info_document(blob->info)};
    if (with_file) reply.fds.push_back(std::move(blob->file));
    return reply;
  }

  Result<Reply> remove(Call& call) {
    auto name = require_string(call.body, "name");
    if (!name) return name.error();
    if (auto removed = files_->remove(*name); !removed) return removed.error();
    return Reply{};
  }

  Result<Reply> list(Call& call) {
    const auto limit = int_or(call.body, "limit", 1000);
    if (limit < 1) return Error{Code::invalid_argument, "member \"limit\" must be at least 1"};
    auto found =
        files_->list(string_or(call.body, "prefix"), static_cast<std::size_t>(limit), string_or(call.body, "after"));
    if (!found) return found.error();
    json::array blobs;
    for (const auto& blob : found->blobs)
      blobs.push_back({{"name", blob.name}, {"size", blob.size}, {"created_at", blob.created_at}});
    return Reply{{{"blobs", std::move(blobs)}, {"more", found->more}}};
  }

  Result<Reply> status() {
    auto found = files_->status();
    if (!found) return found.error();
    return Reply{{{"blobs", found->blobs}, {"bytes", found->bytes}, {"free_bytes", found->free_bytes}}};
  }

  bool serve_http_ = true, allow_remote_ = false;
  BlobHttpOptions options_;
  std::unique_ptr<BlobFiles> files_;
  std::unique_ptr<BlobHttp> http_;
};

}  // namespace
}  // namespace flynn::blobstore

FLYNN_PLUGIN(flynn::blobstore::Blobstore)
