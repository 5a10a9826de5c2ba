#include "mounts.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

namespace flynn::host {
namespace {

TEST(Mounts, TellAMountPointFromAFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  std::string folder = "/tmp/flynn-mounts.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_FALSE(is_mounted(folder));

  ASSERT_EQ(::mount("none", folder.c_str(), "tmpfs", 0, "size=64k"), 0);
  std::filesystem::create_directory(folder + "/below");
  EXPECT_TRUE(is_mounted(folder));
  EXPECT_FALSE(is_mounted(folder + "/below"));
  EXPECT_FALSE(is_mounted(folder + "/nowhere"));

  EXPECT_TRUE(unmount(folder).ok());
  EXPECT_FALSE(is_mounted(folder));
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace flynn::host
