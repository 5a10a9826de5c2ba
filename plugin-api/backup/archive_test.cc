// What was written is read back; whatever is cut off, altered or added is refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "archive_reader.h"
#include "archive_writer.h"
#include "digest.h"
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

using Members = std::vector<std::pair<std::string, std::string>>;

/// A member as a stranger might write it. Type 'x': records for the next one.
std::string raw_member(const std::string& name, const std::string& content, char type = '0', std::uint64_t size = 0) {
  std::string head(512, '\0');
  const auto put = [&](std::size_t at, std::size_t digits, std::uint64_t value) {
    for (; digits > 0; value /= 8) head[at + --digits] = static_cast<char>('0' + value % 8);
  };
  head.replace(0, name.size(), name);
  put(100, 7, 0600);
  put(124, 11, size != 0 ? size : content.size());
  head[156] = type;
  head.replace(257, 5, "ustar");
  head.replace(263, 2, "00");
  head.replace(148, 8, std::string(8, ' '));
  std::uint64_t sum = 0;
  for (const char byte : head) sum += static_cast<unsigned char>(byte);
  put(148, 6, sum);
  head[154] = '\0';
  return head + content + std::string((512 - content.size() % 512) % 512, '\0');
}

/// A manifest that is right about what it names.
std::string raw_manifest(const Members& members) {
  json::array named;
  for (const auto& [name, content] : members) {
    Digest digest(Digest::Kind::sha256);
    digest.update(content.data(), content.size());
    named.push_back(json::object{{"name", name}, {"size", content.size()}, {"sha256", digest.finish()}});
  }
  return raw_member("flynn.json", json::serialize(json::object{{"format", 1}, {"members", std::move(named)}})) +
         std::string(1024, '\0');
}

std::string pax_record(const std::string& name, const std::string& value) {
  const std::string rest = " " + name + "=" + value + "\n";
  std::size_t size = rest.size() + 1;
  while (std::to_string(size).size() + rest.size() != size) ++size;
  return std::to_string(size) + rest;
}

void expect_refused(const Result<Manifest>& read, const std::string& words) {
  ASSERT_FALSE(read.ok()) << words;
  EXPECT_EQ(read.error().code, Code::invalid_argument);
  EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
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

TEST(ClusterArchive, RefusesAMemberWithHoles) {
  const std::string content = std::string(1 << 20, '\0') + "x";
  const std::string holes = raw_member(
      "pax", pax_record("GNU.sparse.size", std::to_string(content.size())) + pax_record("GNU.sparse.map", "1048576,1"),
      'x');
  ASSERT_TRUE(read_text(raw_member("a", content) + raw_manifest({{"a", content}})).ok());
  std::size_t taken = 0;

  const auto read = read_text(holes + raw_member("a", "x") + raw_manifest({{"a", content}}),
                              {[](const std::string&) -> Result<bool> { return true; },
                               [&](std::string_view bytes) -> Result<void> {
                                 taken += bytes.size();
                                 return {};
                               }});

  expect_refused(read, "member a has holes");
  EXPECT_EQ(taken, 0U);
}

TEST(ClusterArchive, RefusesAMemberThatClaimsToBeLargerThanTheFile) {
  const UniqueFd file = file_of(raw_member("a", "x", '0', 1 << 20) + std::string(5000, 'x'));
  std::size_t taken = 0;

  const auto read = read_archive_file("/proc/self/fd/" + std::to_string(file.get()),
                                      {[&](const std::string&) -> Result<bool> { return ++taken > 0; },
                                       [](std::string_view) -> Result<void> { return {}; }});

  expect_refused(read, "member a claims to be larger than the archive");
  EXPECT_EQ(taken, 0U);
}

TEST(ClusterArchive, RefusesAManifestThatDoesNotNameEachMemberOnce) {
  const std::string members = raw_member("a", "one") + raw_member("b", "two");
  ASSERT_TRUE(read_text(members + raw_manifest({{"a", "one"}, {"b", "two"}})).ok());

  expect_refused(read_text(members + raw_manifest({{"a", "one"}, {"a", "one"}})), "names member a twice");
  expect_refused(read_text(members + raw_manifest({{"a", "one"}, {"b", "two"}, {"a", "one"}})), "names member a twice");
  expect_refused(read_text(members + raw_manifest({{"a", "one"}})), "members that flynn.json does not name");
  expect_refused(read_text(members + raw_manifest({{"a", "one"}, {"b", "two"}, {"c", ""}})), "member c is missing");
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
