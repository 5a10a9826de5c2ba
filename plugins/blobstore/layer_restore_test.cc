// Layers from an archive: what is missing is added, and nothing of an archive that is not whole.
#include "layer_restore.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>

#include "backup/archive_writer.h"
#include "blob_files.h"

namespace flynn::blobstore {
namespace {

namespace fs = std::filesystem;

std::string name_of(const std::string& content) {
  Sha512_256 digest;
  digest.update(content.data(), content.size());
  return "layers/" + digest.finish() + ".squashfs";
}

class LayerRestore : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flynn-layers-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string archive() const { return folder_ / "backup.tar"; }
  std::string blobs() const { return folder_ / "blobs"; }
  /// Members by name and content.
  void given_an_archive(const std::vector<std::pair<std::string, std::string>>& members) {
    std::ofstream file(archive(), std::ios::binary);
    auto writer = backup::ArchiveWriter::open([&](std::string_view bytes) -> Result<void> {
      file << bytes;
      return {};
    });
    for (const auto& [name, content] : members) {
      const UniqueFd fd(::memfd_create("member", MFD_CLOEXEC));
      ASSERT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
      ASSERT_TRUE((*writer)->add_file(name, fd.get()).ok());
    }
    ASSERT_TRUE((*writer)->finish({}).ok());
  }
  std::size_t blob_count() {
    fs::create_directories(blobs());
    return std::move(BlobFiles::open(blobs())).value()->list("", 100, "")->blobs.size();
  }

  fs::path folder_;
};

TEST_F(LayerRestore, AddsWhatIsMissing) {
  given_an_archive({{"store.snapshot", "s"}, {name_of("one"), "one"}, {name_of("two"), "two"}});

  const auto first = restore_layers(archive(), blobs());
  const auto again = restore_layers(archive(), blobs());

  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->added, 2U);
  EXPECT_EQ(first->bytes, 6U);
  EXPECT_EQ(again->added, 0U);
  EXPECT_EQ(again->present, 2U);
  const auto files = std::move(BlobFiles::open(blobs())).value();
  EXPECT_EQ(files->get(name_of("two"))->info.size, 3U);
  EXPECT_EQ(blob_count(), 2U);
}

TEST_F(LayerRestore, AnAlteredArchiveAddsNothing) {
  given_an_archive({{name_of("one"), "one"}, {name_of("two"), "two"}});
  std::fstream file(archive(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(512 * 3);  // the bytes of the second member
  file << "twx";
  file.close();

  const auto refused = restore_layers(archive(), blobs());

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::invalid_argument) << refused.error().message;
  EXPECT_EQ(blob_count(), 0U);
}

TEST_F(LayerRestore, ALayerThatIsNotWhatItsNameSaysTakesTheOthersBack) {
  given_an_archive({{name_of("one"), "one"}, {name_of("two"), "three"}});

  const auto refused = restore_layers(archive(), blobs());

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::invalid_argument) << refused.error().message;
  EXPECT_EQ(blob_count(), 0U);
}

}  // namespace
}  // namespace flynn::blobstore
