/// Artifacts: images by their layers.
#include <array>

#include "member_types.h"
#include "page.h"
#include "validation.h"

namespace flynn::controller {
namespace {

bool is_hex_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The layers' ids become file names of the blobstore: nothing but a digest may stand there.
Verdict check_manifest(const json::object& manifest) {
  for (const json::value& rootfs : array_of(manifest, "rootfs")) {
    if (!rootfs.is_object()) return validation("manifest", "has a rootfs that is no object");
    for (const json::value& layer : array_of(rootfs.get_object(), "layers")) {
      if (!layer.is_object() || !is_hex_digest(text_of(layer.get_object(), "id"))) {
        return validation("manifest", "has a layer whose id is no SHA-512/256 digest");
      }
    }
  }
  return std::nullopt;
}

constexpr std::array<MemberRule, 5> kMembers{{{"manifest", MemberType::object},
                                              {"meta", MemberType::object},
                                              {"hashes", MemberType::object},
                                              {"size", MemberType::integer},
                                              {"layer_url_template", MemberType::text}}};

Outcome<json::object> new_artifact(const json::object& asked) {
  if (std::string bad = wrong_member(asked, kMembers); !bad.empty()) return validation("", bad);
  if (Verdict bad = check_meta(object_of(asked, "meta"))) return *bad;
  std::string type = text_of(asked, "type");
  std::string uri = text_of(asked, "uri");
  if (type != "flynn" && type != "docker" && type != "file") return validation("type", "must be flynn, docker or file");
  if (uri.empty() || uri.size() > 2048) return validation("uri", "must be set, with at most 2048 bytes");
  if (type == "flynn" && member(asked, "manifest") == nullptr)
    return validation("manifest", "must be set for artifacts of type flynn");
  json::object manifest = object_of(asked, "manifest");
  if (Verdict bad = check_manifest(manifest)) return *bad;
  json::object artifact{{"id", canonical_uuid(text_of(asked, "id")).value_or(new_uuid())},
                        {"type", type},
                        {"uri", uri},
                        {"meta", object_of(asked, "meta")}};
  if (!manifest.empty()) artifact["manifest"] = std::move(manifest);
  for (const char* name : {"hashes", "size", "layer_url_template"}) {
    if (const json::value* value = member(asked, name)) artifact[name] = *value;
  }
  artifact["created_at"] = now_text();
  return artifact;
}

Outcome<HttpResponse> create_artifact(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto artifact = new_artifact(*asked);
  if (!artifact) return artifact.error();
  std::string id = text_of(*artifact, "id");
  std::string index =
      note_key("artifact-uris", sha256_hex(text_of(*artifact, "type") + "\n" + text_of(*artifact, "uri")));
  auto known = context.store.get(index);
  if (!known) return known.error();
  if (*known) {
    auto existing = context.store.get("artifacts/" + text_of((*known)->value, "artifact_id"));
    if (!existing) return existing.error();
    if (*existing) return json_answer(public_form((*existing)->value));
  }
  Change change;
  change.require("artifacts/" + id, 0).require(index, *known ? (*known)->mod_revision : 0);
  change.put("artifacts/" + id, *artifact).put(index, {{"artifact_id", id}});
  change.event({"", "artifact", id, public_form(*artifact)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("artifact " + id + " already exists");
  return json_answer(public_form(*artifact));
}

Outcome<HttpResponse> list_artifacts(Context& context, const HttpRequest& request, const Params&) {
  return answer_page(context, request, "artifacts/");
}

Outcome<HttpResponse> get_artifact(Context& context, const HttpRequest&, const Params& params) {
  auto id = canonical_uuid(params[0]);
  if (!id) return not_found("artifact " + params[0]);
  auto artifact = context.store.get("artifacts/" + *id);
  if (!artifact) return artifact.error();
  if (!*artifact) return not_found("artifact " + *id);
  return json_answer(public_form((*artifact)->value));
}

}  // namespace

void add_artifact_routes(RouterTable& table) {
  table.add("POST", "/artifacts", create_artifact);
  table.add("GET", "/artifacts", list_artifacts);
  table.add("GET", "/artifacts/:id", get_artifact);
}

}  // namespace flynn::controller
