// Layers through the real mksquashfs, looked at with unsquashfs, and mounted where this machine lets us.
#include "squash.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include "incoming_layer.h"
#include "process/child.h"
#include "tar_maker_test.h"

namespace flynn::images {
namespace {

namespace fs = std::filesystem;

class SquashTest : public testing::Test {
 protected:
  SquashTest() {
    std::string pattern = (fs::temp_directory_path() / "flynn-images-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SquashTest() override {
    if (mounted_) run({"umount", folder_ + "/mnt"});
    fs::remove_all(folder_);
  }

  UniqueFd file_of(const std::string& bytes) const {
    auto file = nameless_file(folder_);
    EXPECT_TRUE(file);
    EXPECT_EQ(::write(file->get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return std::move(*file);
  }
  Result<SquashedLayer> squash_bytes(const std::string& bytes, const PlanLimits& limits = {}) const {
    const UniqueFd tar = file_of(bytes);
    return squash(tar.get(), folder_, limits, Deadline::after(std::chrono::seconds(60)), stop_);
  }
  Result<SquashedLayer> squash_tar(const TarMaker& tar) const { return squash_bytes(tar.bytes()); }

  std::string run(const std::vector<std::string>& line, int input = -1) const {
    auto words = nameless_file(folder_);
    std::vector<std::pair<int, int>> fds{{words->get(), 1}, {words->get(), 2}};
    if (input >= 0) fds.emplace_back(input, 5);
    auto child = process::Child::start(line, fds);
    EXPECT_TRUE(child) << line[0];
    if (!child) return {};
    auto status = child->wait(Deadline::after(std::chrono::seconds(60)));
    std::string text(1 << 16, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(words->get(), text.data(), text.size(), 0))));
    EXPECT_EQ(status ? *status : -1, 0) << line[0] << ": " << text;
    return text;
  }
  /// Its listing: "crw-r--r-- 0/0 0,  0 1970-01-01 00:00 squashfs-root/w" a line.
  std::string listing(const SquashedLayer& layer) const {
    return run({"unsquashfs", "-lln", "/proc/self/fd/5"}, layer.file.get());
  }
  /// The line of one path, up to its size or device.
  std::string line_of(const SquashedLayer& layer, const std::string& path) const {
    std::istringstream lines(listing(layer));
    for (std::string line; std::getline(lines, line);) {
      const auto at = line.find(" squashfs-root/" + path);
      const std::size_t end = at == std::string::npos ? 0 : at + 15 + path.size();
      if (at != std::string::npos && (end == line.size() || line[end] == ' ')) return line;
    }
    return "no " + path + " in\n" + listing(layer);
  }
  /// The mounted tree.
  std::string mount(const SquashedLayer& layer) {
    fs::create_directory(folder_ + "/mnt");
    fs::copy_file("/proc/self/fd/" + std::to_string(layer.file.get()), folder_ + "/layer");
    run({"mount", "-o", "loop,ro,nodev", folder_ + "/layer", folder_ + "/mnt"});
    mounted_ = true;
    return folder_ + "/mnt/";
  }
  void expect_refused(const TarMaker& tar, const std::string& words) const {
    auto layer = squash_tar(tar);
    ASSERT_FALSE(layer) << words << "\n" << listing(*layer);
    EXPECT_EQ(layer.error().code, Code::invalid_argument) << layer.error().message;
    EXPECT_NE(layer.error().message.find(words), std::string::npos) << layer.error().message;
  }

  std::string folder_;
  bool mounted_ = false;
  StopSignal stop_;
};

TEST_F(SquashTest, KeepsOwnersModesLinksDevicesAndAttributes) {
  TarMaker tar;
  tar.folder("./").folder("bin/", 0750);
  tar.add({"bin/ping", '0', "hello", "", 04755, 1000, 100, 0, 0, {{"user.k", "v"}}});
  tar.link("bin/ping6", "bin/ping", '1').link("bin/sh", "/bin/dash");
  tar.add({"dev/null", '3', "", "", 0666, 0, 0, 1, 3, {}}).add({"pipe", '6', "", "", 0600, 0, 0, 0, 0, {}});
  tar.file("grün/" + std::string(120, 'n'), "x").file("raw\xff name", "y");

  auto layer = squash_tar(tar);

  ASSERT_TRUE(layer) << layer.error().message;
  EXPECT_EQ(layer->id.size(), 64U);
  EXPECT_EQ(line_of(*layer, "bin").substr(0, 14), "drwxr-x--- 0/0");
  EXPECT_EQ(line_of(*layer, "bin/ping").substr(0, 19), "-rwsr-xr-x 1000/100");
  EXPECT_EQ(line_of(*layer, "bin/ping6").substr(0, 19), "-rwsr-xr-x 1000/100");
  EXPECT_NE(line_of(*layer, "bin/sh").find("bin/sh -> /bin/dash"), std::string::npos);
  EXPECT_NE(line_of(*layer, "dev/null").find("1,  3"), std::string::npos) << line_of(*layer, "dev/null");
  EXPECT_EQ(line_of(*layer, "dev").substr(0, 14), "drwxr-xr-x 0/0") << "no entry names it";
  EXPECT_EQ(line_of(*layer, "pipe").substr(0, 10), "prw-------");
  EXPECT_EQ(line_of(*layer, "grün/" + std::string(120, 'n')).substr(0, 10), "-rw-r--r--");
  EXPECT_EQ(line_of(*layer, "raw\xff name").substr(0, 10), "-rw-r--r--");
  EXPECT_EQ(listing(*layer).substr(0, 14), "drwxr-xr-x 0/0") << "the root";
}

TEST_F(SquashTest, MakesWhiteoutsOfDockersNames) {
  TarMaker tar;
  tar.folder("etc").file("etc/.wh.gone").file("etc/kept", "k").file(".wh.opt");
  tar.folder("var").file("var/.wh..wh..opq").file("implied/.wh..wh..opq");
  tar.folder("again").file("again/new", "n").file(".wh.again").file("file", "f").file(".wh.file");
  tar.file("etc/.wh..wh.plnk/1.2").file("deep/.wh.x").file(".wh.whole").file("whole/.wh.part");

  auto layer = squash_tar(tar);

  ASSERT_TRUE(layer) << layer.error().message;
  for (const char* hidden : {"etc/gone", "opt", "deep/x", "whole"}) {
    EXPECT_EQ(line_of(*layer, hidden)[0], 'c') << hidden;
    EXPECT_NE(line_of(*layer, hidden).find(" 0,  0 "), std::string::npos) << line_of(*layer, hidden);
  }
  EXPECT_EQ(line_of(*layer, "file")[0], '-') << "what the layer has itself counts";
  EXPECT_EQ(listing(*layer).find(".wh."), std::string::npos);
  EXPECT_EQ(listing(*layer).find("part"), std::string::npos) << "hidden with its folder";
  if (::geteuid() != 0) GTEST_SKIP() << "the rest needs root: a mount";
  const std::string root = mount(*layer);
  char value[8];
  for (const char* opaque : {"var", "implied", "again"}) {
    EXPECT_EQ(::lgetxattr((root + opaque).c_str(), "trusted.overlay.opaque", value, sizeof value), 1) << opaque;
    EXPECT_EQ(value[0], 'y');
  }
  EXPECT_LT(::lgetxattr((root + "etc").c_str(), "trusted.overlay.opaque", value, sizeof value), 0);
}

TEST_F(SquashTest, IsHiddenFromByTheKernelsOverlay) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a mount";
  auto layer = squash_tar(TarMaker().file(".wh.gone").folder("all").file("all/.wh..wh..opq").file("all/new", "n"));
  ASSERT_TRUE(layer) << layer.error().message;
  const std::string top = mount(*layer), below = folder_ + "/below", merged = folder_ + "/merged";
  for (const char* name : {"/below/all", "/merged"}) fs::create_directories(folder_ + name);
  for (const char* name : {"/gone", "/all/old", "/kept"})
    UniqueFd(::open((below + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

  run({"mount", "-t", "overlay", "overlay", "-o", "lowerdir=" + top + ":" + below, merged});
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(merged))
    found.push_back(entry.path().lexically_relative(merged));
  run({"umount", merged});

  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<std::string>{"all", "all/new", "kept"}));
}

TEST_F(SquashTest, HasOneInodeForHardLinksAndNodesThatNobodyOpens) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a mount";
  TarMaker tar;
  tar.file("a", "one").link("c", "b", '1').link("b", "a", '1').file("a", "two");
  tar.add({"mem", '3', "", "", 0666, 0, 0, 1, 3, {}});
  auto layer = squash_tar(tar);
  ASSERT_TRUE(layer) << layer.error().message;

  const std::string root = mount(*layer);

  struct stat first {
  }, third{};
  ASSERT_EQ(::stat((root + "a").c_str(), &first), 0);
  ASSERT_EQ(::stat((root + "c").c_str(), &third), 0);
  EXPECT_EQ(first.st_ino, third.st_ino);
  EXPECT_EQ(first.st_nlink, 3U);
  EXPECT_EQ(first.st_size, 3);
  // As the host mounts the overlay of a job: nodev.
  EXPECT_LT(::open((root + "mem").c_str(), O_RDONLY | O_CLOEXEC), 0);
  EXPECT_EQ(errno, EACCES);
}

TEST_F(SquashTest, TakesNoPathThatLeavesTheTree) {
  expect_refused(TarMaker().file("../x"), "leaves the layer");
  expect_refused(TarMaker().file("a/../../x"), "leaves the layer");
  expect_refused(TarMaker().file("a/.wh..."), "hides no name");
  expect_refused(TarMaker().file(".wh.."), "hides no name");
  expect_refused(TarMaker().file("../.wh.x"), "leaves the layer");
  expect_refused(TarMaker().link("a", "/etc").file("a/passwd", "root"), "no folder");
  expect_refused(TarMaker().folder("a").file("a/b").link("a", "/etc"), "no folder");
  expect_refused(TarMaker().link("a", "/etc").file("a/.wh.passwd"), "no folder");
  expect_refused(TarMaker().link("a", "../../etc/shadow", '1'), "leaves the layer");
  expect_refused(TarMaker().link("a", "/etc/shadow", '1'), "no file of this layer");
  expect_refused(TarMaker().link("a", "b", '1').link("b", "a", '1'), "circle");
  expect_refused(TarMaker().link("a", "a", '1'), "circle");
  expect_refused(TarMaker().file(".wh..wh..opq"), "whole image");
  expect_refused(TarMaker().file("a/.wh.b/c"), "below a whiteout");
  expect_refused(TarMaker().file(std::string(300, 'n')), "too long");

  auto absolute = squash_tar(TarMaker().file("/etc/passwd", "x").link("s", "../../../etc/shadow"));

  ASSERT_TRUE(absolute) << absolute.error().message;
  EXPECT_EQ(line_of(*absolute, "etc/passwd")[0], '-') << "absolute is below the layer's own root";
  EXPECT_EQ(line_of(*absolute, "s")[0], 'l') << "only the container ever follows it";
}

TEST_F(SquashTest, TakesNoWordOfOverlayfsFromAnImage) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a mount";
  TarMaker tar;
  tar.add({"d", '5', "", "", 0755, 0, 0, 0, 0, {{"trusted.overlay.redirect", "/other"}, {"user.k", "v"}}});
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  tar.add({"ping", '0', "", "", 0755, 0, 0, 0, 0, {{"security.capability", capability}}});
  auto layer = squash_tar(tar);
  ASSERT_TRUE(layer) << layer.error().message;

  const std::string root = mount(*layer);

  char value[64];
  EXPECT_LT(::lgetxattr((root + "d").c_str(), "trusted.overlay.redirect", value, sizeof value), 0);
  EXPECT_EQ(::lgetxattr((root + "d").c_str(), "user.k", value, sizeof value), 1);
  ASSERT_EQ(::lgetxattr((root + "ping").c_str(), "security.capability", value, sizeof value), 20);
  EXPECT_EQ(std::string(value, 20), capability) << "ping needs it, and it means nothing outside of containers";
}

TEST_F(SquashTest, RefusesWhatIsNoTarOrTooMuch) {
  EXPECT_EQ(squash_bytes("this is no tar, but long enough to be one" + std::string(2000, 'x')).error().code,
            Code::invalid_argument);
  const std::string whole = TarMaker().file("a", std::string(4000, 'a')).bytes();
  EXPECT_EQ(squash_bytes(whole.substr(0, 2000)).error().code, Code::invalid_argument);
  PlanLimits limits;
  limits.content_bytes_max = 3999;
  EXPECT_NE(squash_bytes(whole, limits).error().message.find("layer_bytes_max"), std::string::npos);
  limits = {};
  limits.entries_max = 2;
  EXPECT_EQ(squash_bytes(TarMaker().file("a/b/c").bytes(), limits).error().code, Code::invalid_argument);

  auto empty = squash_tar(TarMaker());

  ASSERT_TRUE(empty) << empty.error().message;
  EXPECT_GT(empty->length, 0);
}

TEST_F(SquashTest, LeavesNothingAndStopsWhenAsked) {
  stop_.ask();

  auto layer = squash_tar(TarMaker().file("a", "b"));

  ASSERT_FALSE(layer);
  EXPECT_EQ(layer.error().code, Code::unavailable);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace flynn::images
