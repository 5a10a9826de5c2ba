// What was written is read back; whatever is cut off, altered or added is refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "archive_reader.h"
#include "archive_writer.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::backup {
namespace {

UniqueFd file_of(std::string_view text) {
  UniqueFd fd(::memfd_create("member", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

const std::string kStore(200'000, 's');
const std::string kLayer = "layers/aa.squashfs";

std::string given_an_archive() {
  std::string out;
  auto writer = ArchiveWriter::open([&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  });
  EXPECT_TRUE(writer.ok());
  EXPECT_TRUE((*writer)->add_file(std::string(kStoreName), file_of(kStore).get()).ok());
  EXPECT_TRUE((*writer)->add_file(kLayer, file_of("layer").get()).ok());
  EXPECT_TRUE((*writer)->finish({{"domain", "x.test"}}).ok());
  EXPECT_EQ((*writer)->bytes_written(), out.size());
  EXPECT_EQ((*writer)->sha512().size(), 128U);
  return out;
}

Result<Manifest> read_text(std::string_view text, const Taker& taker = {}) {
  return read_archive(
      [text](char* into, std::size_t size) mutable -> Result<std::size_t> {
        const std::size_t count = text.copy(into, size);
        text.remove_prefix(count);
        return count;
      },
      taker);
}

TEST(ClusterArchive, GivesBackWhatWasWritten) {
  const std::string archive = given_an_archive();
  std::map<std::string, std::string> taken;
  std::string current;

  const auto manifest = read_text(archive, {[&](const std::string& name) -> Result<bool> {
                                              current = name;
                                              return name == kStoreName;
                                            },
                                            [&](std::string_view bytes) -> Result<void> {
                                              taken[current] += bytes;
                                              return {};
                                            }});

  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(string_or(manifest->document, "domain"), "x.test");
  ASSERT_NE(manifest->find(kLayer), nullptr);
  EXPECT_EQ(manifest->find(kLayer)->sha256, "dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85");
  EXPECT_EQ(manifest->bytes, kStore.size() + 5);
  EXPECT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[std::string(kStoreName)], kStore);
}

TEST(ClusterArchive, RefusesWhatIsCutOffAnywhere) {
  const std::string archive = given_an_archive();
  const std::size_t manifest_at = archive.find(R"({"domain")");
  ASSERT_NE(manifest_at, std::string::npos);

  for (std::size_t size = 0; size < manifest_at + 10; size += 512)
    EXPECT_FALSE(read_text(std::string_view(archive).substr(0, size)).ok()) << size;
}

TEST(ClusterArchive, RefusesAnAlteredByte) {
  std::string archive = given_an_archive();
  archive[archive.find("ssss") + 1000] = 't';

  const auto read = read_text(archive);

  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::invalid_argument);
  EXPECT_NE(read.error().message.find("store.snapshot has another size or SHA-256"), std::string::npos)
      << read.error().message;
}

TEST(ClusterArchive, AWriterWithoutAnEndLeavesNoArchive) {
  std::string out;
  {
    auto writer = ArchiveWriter::open([&](std::string_view bytes) -> Result<void> {
      out += bytes;
      return {};
    });
    ASSERT_TRUE((*writer)->add_file(std::string(kStoreName), file_of(kStore).get()).ok());
  }

  EXPECT_FALSE(read_text(out).ok());
}

TEST(ClusterArchive, TheSinksErrorIsTheWriters) {
  auto writer = ArchiveWriter::open([](std::string_view) -> Result<void> {
    return Error{Code::cancelled, "the reader has gone"};
  });
  ASSERT_TRUE(writer.ok());

  const auto added = (*writer)->add_file(std::string(kStoreName), file_of(kStore).get());

  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, Code::cancelled);
  EXPECT_NE(added.error().message.find("the reader has gone"), std::string::npos) << added.error().message;
}

}  // namespace
}  // namespace flynn::backup
