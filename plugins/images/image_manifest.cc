#include "image_manifest.h"

#include <algorithm>

#include "hex_digest.h"

namespace flynn::images {
namespace {

constexpr const char* kManifestType = "application/vnd.flynn.image.manifest.v1+json";
constexpr const char* kLayerType = "application/vnd.flynn.image.squashfs.v1";
constexpr std::size_t kLayersMax = 128;

Error refused(const std::string& why) { return {Code::invalid_argument, "manifest " + why}; }

/// Members in the order of their names, at every depth: Flynn's canonical form.
json::value sorted(const json::value& value) {
  if (value.is_array()) {
    json::array out;
    for (const json::value& one : value.get_array()) out.push_back(sorted(one));
    return out;
  }
  if (!value.is_object()) return value;
  std::vector<std::string> names;
  for (const auto& member : value.get_object()) names.emplace_back(member.key());
  std::sort(names.begin(), names.end());
  json::object out;
  for (const std::string& name : names) out[name] = sorted(value.get_object().at(name));
  return out;
}

}  // namespace

Result<std::vector<std::string>> layers_of(const json::object& manifest) {
  if (string_or(manifest, "_type") != kManifestType)
    return refused(std::string("must have the _type ") + kManifestType);
  const auto* entrypoints = find_object(manifest, "entrypoints");
  if (entrypoints == nullptr || find_object(*entrypoints, "_default") == nullptr)
    return refused("must have an entrypoint _default");
  const auto* roots = find_array(manifest, "rootfs");
  if (roots == nullptr || roots->size() != 1 || !roots->front().is_object()) return refused("must have one rootfs");
  const auto* layers = find_array(roots->front().get_object(), "layers");
  if (layers == nullptr || layers->empty() || layers->size() > kLayersMax)
    return refused("must have from 1 to " + std::to_string(kLayersMax) + " layers");
  std::vector<std::string> ids;
  for (const json::value& layer : *layers) {
    const json::object* one = layer.is_object() ? &layer.get_object() : nullptr;
    if (one == nullptr || !is_hex_digest(string_or(*one, "id")))
      return refused("has a layer whose id is no SHA-512/256 digest");
    if (string_or(*one, "type", kLayerType) != kLayerType) return refused("has a layer that is no squashfs");
    ids.push_back(string_or(*one, "id"));
  }
  return ids;
}

json::object artifact_of(const json::object& manifest) {
  json::value canonical = sorted(manifest);
  const std::string text = json::serialize(canonical);
  HexDigest digest(EVP_sha512_256());
  digest.add(text);
  const std::string id = digest.end();
  return {{"type", "flynn"},
          {"uri", "blobstore:/images/" + id + ".json"},
          {"meta", {{"blobstore", "true"}}},
          {"manifest", std::move(canonical)},
          {"hashes", {{"sha512_256", id}}},
          {"size", static_cast<std::int64_t>(text.size())},
          {"layer_url_template", "blobstore:/layers/{id}.squashfs"}};
}

}  // namespace flynn::images
