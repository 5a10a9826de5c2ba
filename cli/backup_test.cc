// flynn cluster backup: what is not whole leaves no file.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "backup/archive_writer.h"
#include "documents.h"
#include "flynn/sdk/unique_fd.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

std::string given_an_archive() {
  std::string out;
  auto writer = backup::ArchiveWriter::open([&](std::string_view bytes) -> flynn::Result<void> {
    out += bytes;
    return {};
  });
  const std::string store(300'000, 's');
  const UniqueFd fd(::memfd_create("store", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), store.data(), store.size()), static_cast<ssize_t>(store.size()));
  EXPECT_TRUE((*writer)->add_file("store.snapshot", fd.get()).ok());
  EXPECT_TRUE((*writer)
                  ->finish({{"domain", "x.test"},
                            {"created_at", "2026-01-31T12:00:00.000Z"},
                            {"left_out", {{{"what", "databases"}, {"instead", "flynn pg dump"}}}}})
                  .ok());
  return out;
}

struct ClusterBackup : ::testing::Test {
  TestController controller;
  Program flynn;
  const std::string archive = given_an_archive();
  const std::string path = flynn.folder() + "/backup.tar";

  void SetUp() override {
    ASSERT_EQ(
        flynn.run({"cluster", "add", "--git-url", "ssh://x", "default", controller.url(), TestController::kKey}).code,
        0);
  }
  [[nodiscard]] std::string content() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void expect_no_file() const {
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  }
};

TEST_F(ClusterBackup, AWholeArchiveBecomesAPrivateFile) {
  controller.set_backup(archive);

  const auto done = flynn.run({"cluster", "backup", "--file", path});

  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(content(), archive);
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_NE(done.err.find("not in it: databases (flynn pg dump)"), std::string::npos) << done.err;
}

TEST_F(ClusterBackup, WithoutAFileItIsOnStdout) {
  controller.set_backup(archive);

  const auto done = flynn.run({"cluster", "backup"});

  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, archive);
  EXPECT_EQ(flynn.run({"cluster", "backup", "--json"}).code, 2);
}

TEST_F(ClusterBackup, AsADocument) {
  controller.set_backup(archive);

  const auto done = flynn.run({"cluster", "backup", "-f", path, "--json"});

  ASSERT_EQ(done.code, 0) << done.err;
  const json::value document = json::parse(done.out);
  EXPECT_EQ(text_of(as_object(document), "file"), path);
  EXPECT_EQ(text_of(as_object(document), "domain"), "x.test");
  EXPECT_EQ(number_of(as_object(document), "bytes"), 300'000);
  EXPECT_EQ(array_of(as_object(document), "left_out").size(), 1U);
}

TEST_F(ClusterBackup, ACutArchiveIsRefusedAndLeavesNoFile) {
  for (const std::size_t size : {archive.size() / 2, archive.find(R"({"domain")"), std::size_t{1}}) {
    controller.set_backup(archive.substr(0, size), "the disk of the blobs failed");

    const auto refused = flynn.run({"cluster", "backup", "--file", path});

    EXPECT_EQ(refused.code, 5) << refused.err;
    EXPECT_NE(refused.err.find("cut off"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("  | the disk of the blobs failed"), std::string::npos) << refused.err;
    expect_no_file();
  }
}

TEST_F(ClusterBackup, AnAlteredArchiveIsRefusedAndTheOldFileStays) {
  std::ofstream(path) << "of yesterday";
  std::string altered = archive;
  altered[archive.find("ssss") + 500] = 't';
  controller.set_backup(altered);

  const auto refused = flynn.run({"cluster", "backup", "--file", path});

  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("SHA-256"), std::string::npos) << refused.err;
  EXPECT_EQ(content(), "of yesterday");
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST_F(ClusterBackup, AnotherOneThatRunsIsAConflict) {
  const auto refused = flynn.run({"cluster", "backup", "--file", path});

  EXPECT_EQ(refused.code, 6) << refused.err;
  EXPECT_NE(refused.err.find("a backup is being written already"), std::string::npos) << refused.err;
  expect_no_file();
}

}  // namespace
}  // namespace flynn::cli::testing
