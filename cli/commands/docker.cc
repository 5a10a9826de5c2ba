/// `flynn docker push`: an image of Docker's becomes a release.
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <ostream>

#include "../deploy.h"
#include "../docker_engine.h"
#include "../documents.h"
#include "../image_archive.h"
#include "../image_client.h"
#include "../image_config.h"
#include "../names.h"
#include "../progress_line.h"
#include "../session.h"
#include "../sizes.h"
#include "families.h"

namespace flynn::cli {
namespace {

/// The image's layers as the cluster knows them, by SHA-256; those that it lacks.
struct KnownLayers {
  std::map<std::string, json::value> known;
  std::set<std::string> missing;
};

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure("open " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  return file;
}

Result<UniqueFd> archive_of(Session& session, const std::string& image, const std::string& path) {
  if (!path.empty()) return open_file(path);
  session.err() << "exporting image with 'docker save " << image << "'\n";
  ProgressLine progress;
  return export_docker_image(image, [&](std::int64_t bytes) {
    progress.show("exporting " + image + ": " + std::to_string(bytes >> 20) + " MB");
  });
}

Result<KnownLayers> look_up(ImageClient& images, const ImageArchive& image) {
  KnownLayers layers;
  for (const ArchivedLayer& layer : image.layers()) {
    if (layers.known.contains(layer.sha256) || layers.missing.contains(layer.sha256)) continue;
    auto found = images.layer(layer.sha256);
    if (!found) return found.error().context("ask for a layer");
    if (*found) {
      layers.known.emplace(layer.sha256, std::move(**found));
    } else {
      layers.missing.insert(layer.sha256);
    }
  }
  return layers;
}

Result<ImageUser> user_of(const ImageArchive& image) {
  const std::string user = text_of(object_of(image.config(), "config"), "User");
  if (!needs_files(user)) return find_user(user, "", "");
  auto files = image.files({"etc/passwd", "etc/group"});
  if (!files) return files.error();
  return find_user(user, (*files)["etc/passwd"], (*files)["etc/group"]);
}

Status upload(Session& session, ImageClient& images, const ImageArchive& image, KnownLayers& layers) {
  return image.each_layer(layers.missing, [&](const std::string& sha256, LayerStream& tar) -> Status {
    session.err() << "uploading layer " << sha256 << std::endl;
    ProgressLine progress;
    const std::string of = tar.size() >= 0 ? " of " + std::to_string(tar.size() >> 20) : "";
    auto added = images.add_layer(sha256, tar, [&](std::int64_t bytes) {
      progress.show("uploading layer " + sha256.substr(0, 12) + ": " + std::to_string(bytes >> 20) + of + " MB" +
                    (bytes == tar.size() ? ", packing" : ""));
    });
    if (!added) return added.error().context("upload layer " + sha256);
    layers.known.emplace(sha256, std::move(*added));
    return Done{};
  });
}

Result<std::string> make_artifact(ImageClient& images, const ImageArchive& image, const ImageUser& user,
                                  const KnownLayers& layers) {
  std::vector<json::value> described;
  for (const ArchivedLayer& layer : image.layers()) {
    const auto found = layers.known.find(layer.sha256);
    if (found == layers.known.end())
      return failure("the archive has no layer " + layer.sha256).as(ErrorCode::kFileUnreadable);
    described.push_back(found->second);
  }
  const auto artifact = images.add_artifact(image_manifest(image.config(), user, described));
  if (!artifact) return artifact.error().context("make the artifact");
  return text_of(as_object(*artifact), "id");
}

Status begin_push(Session& session, const std::string& app, const json::object& current, const std::string& name,
                  const KnownLayers& layers) {
  std::vector<std::string> steps;
  for (const std::string& sha256 : layers.missing) steps.push_back("upload layer " + sha256);
  steps.push_back("make a release of " + app + " with the image " + name + " and deploy it");
  return begin_release(session, app, current, std::move(steps));
}

Result<int> push(Session& session, const Arguments& arguments) {
  const std::string path = arguments.value("file"), image_name = arguments.at(0);
  if (path.empty() && image_name.empty())
    return usage_error("docker push needs an image, or an archive with --file", "flynn docker push <image>");
  const auto app = session.app();
  if (!app) return app.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  const auto client = session.controller();
  if (!client) return client.error();
  auto release = current_release(**client, *app);
  if (!release) return release.error();

  const std::string name = image_name.empty() ? path : image_name;
  if (!session.plan()) session.err() << "deploying Docker image: " << name << '\n';
  const auto archive = archive_of(session, image_name, path);
  if (!archive) return archive.error();
  const auto image = ImageArchive::open(archive->get(), image_name);
  if (!image) return image.error();
  if (image_args(image->config()).empty())
    return failure("the image " + name + " has neither an entrypoint nor a command, so there is nothing to run",
                   "Give its Dockerfile a CMD.")
        .as(ErrorCode::kValidation);
  const auto user = user_of(*image);
  if (!user) return user.error();

  ImageClient images(images_of(*cluster));
  auto layers = look_up(images, *image);
  if (!layers) return layers.error();
  if (auto begun = begin_push(session, *app, *release, name, *layers); !begun) return begun.error();
  if (auto uploaded = upload(session, images, *image, *layers); !uploaded) return uploaded.error();
  const auto artifact = make_artifact(images, *image, *user, *layers);
  if (!artifact) return artifact.error();
  const auto id =
      release_and_deploy(**client, *app, docker_release(std::move(*release), *app, *artifact, image->config()));
  if (!id) return id.error();
  return session.done(session.err(), "Docker image deployed, scale it with 'flynn scale app=N'\n",
                      {{"release", *id}, {"artifact", *artifact}});
}

}  // namespace

CommandList docker_commands() {
  return {{"docker push",
           "[<image>]",
           "Deploy an image of Docker's: its layers, a release and a deployment",
           {{0, "file", "archive", "of 'docker save', podman or skopeo, in place of Docker's engine"}},
           0,
           1,
           push}};
}

}  // namespace flynn::cli
