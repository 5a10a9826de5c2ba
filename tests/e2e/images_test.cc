// An image as `docker save` writes it becomes an app: pushed by the client, run, changed by a second layer.
#include <filesystem>
#include <fstream>

#include "world.h"

namespace flynn::e2e {
namespace {

namespace fs = std::filesystem;

class Images : public WorldTest {
 protected:
  /// A folder for the pieces of one archive.
  static std::string folder(const std::string& name) {
    const auto path = node().root() + "/" + name;
    fs::create_directories(path);
    return path;
  }
  static void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  /// The tar of `tree` as a layer of the image in `image`; its name.
  static std::string layer(const std::string& image, const std::string& tree) {
    const auto tar = image + "/new.tar";
    EXPECT_TRUE(run({"tar", "--owner=0", "--group=0", "-C", tree, "-cf", tar, "."}).ok());
    const std::string digest = run({"sha256sum", tar}).out.substr(0, 64);
    fs::create_directories(image + "/" + digest);
    fs::rename(tar, image + "/" + digest + "/layer.tar");
    return digest;
  }
  /// As `docker save`: manifest.json, the image's configuration, the layers.
  static std::string archive(const std::string& image, const std::vector<std::string>& layers) {
    json::array files, digests;
    for (const auto& digest : layers) {
      files.push_back(json::value(digest + "/layer.tar"));
      digests.push_back(json::value("sha256:" + digest));
    }
    const json::object config{
        {"architecture", "amd64"},
        {"os", "linux"},
        {"config",
         {{"Entrypoint", {"/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"}}, {"Env", {"FROM_IMAGE=yes"}}}},
        {"rootfs", {{"type", "layers"}, {"diff_ids", digests}}}};
    write(image + "/config.json", json::serialize(config));
    write(image + "/manifest.json", json::serialize(json::array{json::object{
                                        {"Config", "config.json"}, {"RepoTags", {"site:latest"}}, {"Layers", files}}}));
    const auto file = image + ".tar";
    EXPECT_TRUE(run({"tar", "-C", image, "-cf", file, "."}).ok());
    return file;
  }
  static Outcome push(const std::string& file) {
    return node().flynn({"-a", "site", "docker", "push", "--file", file}, {.timeout = 120s});
  }
  static void expect_site(const std::string& path, const std::string& text) {
    Outcome page;
    EXPECT_TRUE(eventually(30s,
                           [&] {
                             page = node().get("site.flynn.localhost", path);
                             return page.out.find(text) != std::string::npos;
                           }))
        << page.out << node().flynn({"-a", "site", "log"}).out << node().log();
  }
};

TEST_F(Images, APushedImageServesAndItsNextLayerReplacesAndDeletes) {
  ASSERT_TRUE(fs::exists("/bin/busybox")) << "busybox-static is among scripts/packages";
  const auto tree = folder("tree"), image = folder("image");
  fs::create_directories(tree + "/bin");
  fs::copy_file("/bin/busybox", tree + "/bin/busybox");
  write(tree + "/www/index.html", "from an image\n");
  write(tree + "/www/gone.html", "soon gone\n");
  const std::string base = layer(image, tree);
  const std::string url = "http://images.flynn.localhost:" + std::to_string(node().ports().http);
  std::ifstream file(node().data_dir() + "/plugins/controller/auth_key");
  std::string key;
  std::getline(file, key);
  const auto added = node().flynn(
      {"cluster", "add", "-f", "-d", "--git-url", "ssh://git@127.0.0.1:" + std::to_string(node().ports().ssh),
       "--image-url", url, "default", "http://controller.flynn.localhost:" + std::to_string(node().ports().http), key});
  ASSERT_TRUE(added.ok()) << added.out;
  ASSERT_TRUE(node().flynn({"create", "-y", "-r", "", "site"}).ok());

  const auto pushed = push(archive(image, {base}));
  ASSERT_TRUE(pushed.ok()) << pushed.out << node().log();
  const auto scaled = node().flynn({"-a", "site", "scale", "app=1"});
  ASSERT_TRUE(scaled.ok()) << scaled.out << node().log();
  expect_site("/", "from an image");
  expect_site("/gone.html", "soon gone");
  EXPECT_EQ(node().flynn({"-a", "site", "env", "get", "FROM_IMAGE"}).out, "yes\n");

  const auto next = folder("next");
  write(next + "/www/index.html", "from its second layer\n");
  write(next + "/www/.wh.gone.html", "");
  const auto again = push(archive(image, {base, layer(image, next)}));
  ASSERT_TRUE(again.ok()) << again.out << node().log();
  EXPECT_EQ(again.out.find("uploading layer " + base), std::string::npos) << "it is there already: " << again.out;
  expect_site("/", "from its second layer");
  expect_site("/gone.html", "404");
}

TEST_F(Images, AnArchiveThatIsNoneIsRefusedAndNothingChanges) {
  const auto bad = node().root() + "/bad.tar";
  std::ofstream(bad) << "no archive at all";

  const auto refused = push(bad);

  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.out.find("bad.tar"), std::string::npos) << refused.out;
  expect_site("/", "from its second layer");
}

}  // namespace
}  // namespace flynn::e2e
