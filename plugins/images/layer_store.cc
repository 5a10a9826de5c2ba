#include "layer_store.h"

#include <sys/mman.h>

#include <cerrno>

#include "flynn/sdk/stream.h"
#include "hex_digest.h"

namespace flynn::images {
namespace {

constexpr const char* kBlobstore = "flynn.blobstore/1";
constexpr auto kCallTime = 30s;
constexpr auto kUploadTime = 600s;
constexpr std::size_t kDescriptionBytesMax = 64 * 1024;

std::string layer_name(const std::string& id) { return "layers/" + id + ".squashfs"; }
std::string description_name(const std::string& sha256) { return "images/layers/" + sha256 + ".json"; }

json::object description(const SquashedLayer& layer) {
  return {{"id", layer.id},
          {"type", "application/vnd.flynn.image.squashfs.v1"},
          {"length", layer.length},
          {"hashes", {{"sha512_256", layer.id}}},
          {"meta", json::object{}}};
}

}  // namespace

Result<bool> LayerStore::has(const std::string& id) {
  auto found = door_.call(kBlobstore, "Stat", {{"name", layer_name(id)}}, kCallTime);
  if (found) return true;
  if (found.error().code == Code::not_found) return false;
  return found.error().context("look for the layer " + id);
}

Result<std::optional<json::object>> LayerStore::find(const std::string& sha256) {
  auto got = door_.call(kBlobstore, "Get", {{"name", description_name(sha256)}}, kCallTime);
  if (!got && got.error().code == Code::not_found) return std::optional<json::object>();
  if (!got) return got.error().context("look for the layer of " + sha256);
  if (got->fds.empty()) return Error{Code::internal, "the blobstore gave no file"};
  std::string text(kDescriptionBytesMax, '\0');
  const ssize_t count = ::pread(got->fds[0].get(), text.data(), text.size(), 0);
  if (count < 0) return errno_error(errno, "read the layer of " + sha256);
  text.resize(static_cast<std::size_t>(count));
  auto layer = parse_json_object(text);
  if (!layer) return layer.error().context("the layer of " + sha256);
  auto there = has(string_or(*layer, "id"));
  if (!there) return there.error();
  return *there ? std::optional(std::move(*layer)) : std::nullopt;
}

Result<json::object> LayerStore::keep(const std::string& sha256, const SquashedLayer& layer) {
  auto put = door_.call(kBlobstore, "Put", {{"name", layer_name(layer.id)}, {"sha512_256", layer.id}},
                        Deadline::after(kUploadTime), {layer.file.get()});
  if (!put) return put.error().context("keep the layer");
  json::object described = description(layer);
  const std::string text = json::serialize(described);
  UniqueFd memory(::memfd_create("layer", MFD_CLOEXEC));
  if (!memory || ::pwrite(memory.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return errno_error(errno, "keep the layer's description");
  auto noted =
      door_.call(kBlobstore, "Put", {{"name", description_name(sha256)}}, Deadline::after(kCallTime), {memory.get()});
  if (!noted) return noted.error().context("keep the layer's description");
  return described;
}

}  // namespace flynn::images
