#include "image_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>

#include "documents.h"

namespace flynn::cli {
namespace {

constexpr std::int64_t kDocumentBytesMax = 4LL << 20U;
constexpr std::size_t kDocumentsBytesMax = 64U << 20U;
constexpr std::size_t kMembersMax = 100'000;
constexpr int kLinksMax = 8;
constexpr int kIndexDepthMax = 4;
constexpr std::string_view kSha256 = "sha256:";

Error bad_archive(const std::string& why) {
  return failure("read the image's archive: " + why,
                 "Make it with 'docker save -o image.tar <image>', or skopeo copy … docker-archive:image.tar.")
      .as(ErrorCode::kFileUnreadable);
}

/// The digest's digits; empty when it is no SHA-256.
std::string digits_of(const std::string& digest) {
  if (!digest.starts_with(kSha256)) return "";
  std::string digits = digest.substr(kSha256.size());
  const bool good = digits.size() == 64 && digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  return good ? digits : "";
}

std::string blob_of(const json::object& descriptor) {
  return "blobs/sha256/" + digits_of(text_of(descriptor, "digest"));
}

/// Whether the user's `name` means the image that the archive calls `tag`.
bool is_called(const std::string& tag, std::string name) {
  const auto slash = name.rfind('/');
  if (name.find(':', slash == std::string::npos ? 0 : slash) == std::string::npos) name += ":latest";
  return tag == name || tag.ends_with("/" + name);
}

Result<json::value> document_of(const std::map<std::string, std::string>& documents, const std::string& name) {
  const auto found = documents.find(name);
  if (found == documents.end()) return bad_archive("it has no " + name);
  return parse_json(name, found->second);
}

std::string folder_of(const std::string& member) {
  const auto slash = member.rfind('/');
  return slash == std::string::npos ? "" : member.substr(0, slash + 1);
}

}  // namespace

std::string member_name(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  std::string name;
  for (const std::string_view part : parts) name += (name.empty() ? "" : "/") + std::string(part);
  return name;
}

Result<ImageArchive::Contents> ImageArchive::read_contents() const {
  auto reader = open_tar(fd_);
  if (!reader) return reader.error();
  archive* handle = reader->get();
  Contents contents;
  std::size_t documents_bytes = 0;
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(handle, &entry);
    if (code == ARCHIVE_EOF) return contents;
    if (code < ARCHIVE_WARN) return archive_failure("read the image's archive", handle);
    const char* path = archive_entry_pathname(entry);
    const std::string name = member_name(path != nullptr ? path : "");
    if (contents.members.size() >= kMembersMax) return bad_archive("it has too many members");
    if (const char* target = archive_entry_hardlink(entry)) {
      contents.links[name] = member_name(target);
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      contents.links[name] = member_name(folder_of(name) + archive_entry_symlink(entry));
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      contents.members.insert(name);
      const std::int64_t size = archive_entry_size(entry);
      const bool wanted = name.ends_with(".json") || name.starts_with("blobs/sha256/");
      if (!wanted || size > kDocumentBytesMax) continue;
      std::string text(static_cast<std::size_t>(size), '\0');
      if (archive_read_data(handle, text.data(), text.size()) != size)
        return archive_failure("read " + name + " of the image's archive", handle);
      if (!text.starts_with('{') && !text.starts_with('[')) continue;  // a small layer
      documents_bytes += text.size();
      if (documents_bytes > kDocumentsBytesMax) return bad_archive("its documents are too large");
      contents.documents[name] = std::move(text);
    }
  }
}

Result<ImageArchive> ImageArchive::open(int fd, const std::string& name) {
  ImageArchive image(fd);
  const auto contents = image.read_contents();
  if (!contents) return contents.error();
  const bool docker = contents->documents.contains("manifest.json");
  if (!docker && !contents->documents.contains("index.json"))
    return bad_archive("it has neither manifest.json nor index.json, so it is no image");
  auto chosen = docker ? image.choose_docker(*contents, name) : image.choose_oci(*contents, name);
  if (!chosen) return chosen.error();
  return image;
}

Status ImageArchive::choose_docker(const Contents& contents, const std::string& name) {
  const auto list = document_of(contents.documents, "manifest.json");
  if (!list) return list.error();
  const json::object* chosen = nullptr;
  for (const json::value& value : as_array(*list)) {
    const json::object& image = as_object(value);
    const json::array& tags = array_of(image, "RepoTags");
    const bool named = std::any_of(tags.begin(), tags.end(), [&](const json::value& tag) {
      return tag.is_string() && is_called(std::string(tag.get_string()), name);
    });
    if (named || as_array(*list).size() == 1) chosen = &image;
  }
  if (chosen == nullptr)
    return bad_archive(name.empty() ? "it has several images: name one"
                                    : "it has several images, none of them " + name);
  const auto config = document_of(contents.documents, member_name(text_of(*chosen, "Config")));
  if (!config) return config.error();
  config_ = as_object(*config);
  std::vector<std::string> members;
  for (const json::value& layer : array_of(*chosen, "Layers"))
    members.push_back(layer.is_string() ? member_name(layer.get_string()) : "");
  return set_layers(contents, members);
}

Status ImageArchive::choose_oci(const Contents& contents, const std::string& name) {
  std::string document = "index.json";
  for (int depth = 0; depth < kIndexDepthMax; ++depth) {
    const auto parsed = document_of(contents.documents, document);
    if (!parsed) return parsed.error();
    const json::object& index = as_object(*parsed);
    if (index.contains("config")) {
      const auto config = document_of(contents.documents, blob_of(object_of(index, "config")));
      if (!config) return config.error();
      config_ = as_object(*config);
      std::vector<std::string> members;
      for (const json::value& layer : array_of(index, "layers")) members.push_back(blob_of(as_object(layer)));
      return set_layers(contents, members);
    }
    const json::object* chosen = nullptr;
    int images = 0;
    for (const json::value& value : array_of(index, "manifests")) {
      const json::object& manifest = as_object(value);
      const json::object& platform = object_of(manifest, "platform");
      const std::string system = text_of(platform, "os"), machine = text_of(platform, "architecture");
      if ((!system.empty() && system != "linux") || (!machine.empty() && machine != "amd64")) continue;
      const json::object& notes = object_of(manifest, "annotations");
      const std::string ref = text_of(notes, "org.opencontainers.image.ref.name");
      const std::string full = text_of(notes, "io.containerd.image.name");
      const bool named =
          depth == 0 && !name.empty() && (is_called(full, name) || is_called(ref, name) || name.ends_with(":" + ref));
      ++images;
      if (chosen == nullptr || named) chosen = &manifest;
      if (named) images = 1;
      if (named) break;
    }
    if (chosen == nullptr) return bad_archive("it has no image for linux on amd64");
    if (images > 1) return bad_archive("it has several images: name one");
    document = blob_of(*chosen);
  }
  return bad_archive("its index leads nowhere");
}

Status ImageArchive::set_layers(const Contents& contents, const std::vector<std::string>& members) {
  const json::array& digests = array_of(object_of(config_, "rootfs"), "diff_ids");
  if (digests.size() != members.size() || members.empty())
    return bad_archive("its configuration names " + std::to_string(digests.size()) + " layers, and it has " +
                       std::to_string(members.size()));
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::string member = members[i];
    for (int links = 0; links < kLinksMax && contents.links.contains(member); ++links)
      member = contents.links.at(member);
    if (!contents.members.contains(member)) return bad_archive("the layer " + members[i] + " is missing");
    const std::string sha256 = digits_of(digests[i].is_string() ? std::string(digests[i].get_string()) : "");
    if (sha256.empty()) return bad_archive("a layer's digest is no SHA-256");
    layers_.push_back({sha256, member});
  }
  return Done{};
}

Status ImageArchive::each_layer(const std::set<std::string>& wanted,
                                const std::function<Status(const std::string&, LayerStream&)>& use) const {
  std::map<std::string, std::string> members;
  for (const ArchivedLayer& layer : layers_)
    if (wanted.contains(layer.sha256)) members.emplace(layer.member, layer.sha256);
  if (members.empty()) return Done{};
  auto reader = open_tar(fd_);
  if (!reader) return reader.error();
  std::set<std::string> used;
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(reader->get(), &entry);
    if (code == ARCHIVE_EOF) return Done{};
    if (code < ARCHIVE_WARN) return archive_failure("read the image's archive", reader->get());
    const char* path = archive_entry_pathname(entry);
    const auto found = members.find(member_name(path != nullptr ? path : ""));
    if (found == members.end() || archive_entry_filetype(entry) != AE_IFREG) continue;
    if (!used.insert(found->second).second) continue;
    const auto stream = LayerStream::open(reader->get(), archive_entry_size(entry));
    if (!stream) return stream.error();
    if (auto done = use(found->second, **stream); !done) return done;
  }
}

Result<std::map<std::string, std::string>> ImageArchive::files(const std::vector<std::string>& names) const {
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> by_layer;
  std::set<std::string> all;
  for (const ArchivedLayer& layer : layers_) all.insert(layer.sha256);
  auto read = each_layer(all, [&](const std::string& sha256, LayerStream& layer) -> Status {
    auto found = files_of_layer(layer, names);
    if (!found) return found.error();
    by_layer[sha256] = std::move(*found);
    return Done{};
  });
  if (!read) return read.error();
  std::map<std::string, std::string> files;
  for (const ArchivedLayer& layer : layers_)
    for (const auto& [name, text] : by_layer[layer.sha256]) files[name] = text;
  return files;
}

}  // namespace flynn::cli
