#include "blob_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace flynn::blobstore {
namespace {

namespace fs = std::filesystem;

class BlobFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flynn-blobs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    files_ = open();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<BlobFiles> open() { return std::move(BlobFiles::open(folder_)).value(); }

  UniqueFd source_with(const std::string& text) {
    const UniqueFd out(::open((folder_ / "source").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::write(out.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return UniqueFd(::open((folder_ / "source").c_str(), O_RDONLY | O_CLOEXEC));
  }

  Result<BlobInfo> put(const std::string& name, const std::string& text, std::optional<std::string> digest = {}) {
    return files_->put(name, source_with(text).get(), digest, Deadline::after(std::chrono::seconds(10)));
  }

  static std::string read_all(int fd) {
    std::string text(1 << 20, '\0');
    const auto got = ::pread(fd, text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }

  std::string content(const std::string& name) {
    auto blob = files_->get(name);
    return blob ? read_all(blob->file.get()) : "error: " + blob.error().message;
  }

  std::ptrdiff_t temporary_files() {
    return std::distance(fs::directory_iterator(folder_ / "temporary"), fs::directory_iterator());
  }

  std::vector<std::string> names(std::string_view prefix, std::size_t limit = 1000, std::string_view after = {}) {
    std::vector<std::string> found;
    const auto listed = files_->list(prefix, limit, after);
    for (const auto& blob : listed->blobs) found.push_back(blob.name);
    return found;
  }

  fs::path folder_;
  std::unique_ptr<BlobFiles> files_;
};

// printf abc | openssl dgst -sha512-256
constexpr const char* kDigestOfAbc = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23";

TEST_F(BlobFilesTest, GivesBackWhatWasPut) {
  const auto put_info = put("layers/x.squashfs", "abc");

  ASSERT_TRUE(put_info.ok()) << put_info.error().message;
  EXPECT_EQ(put_info->sha512_256, kDigestOfAbc);
  auto blob = files_->get("layers/x.squashfs");
  EXPECT_EQ(blob->info.size, 3u);
  EXPECT_EQ(blob->info.sha512_256, kDigestOfAbc);
  EXPECT_EQ(blob->info.created_at.size(), 24u);
  EXPECT_EQ(::lseek(blob->file.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read_all(blob->file.get()), "abc");
  EXPECT_EQ(temporary_files(), 0);
}

TEST_F(BlobFilesTest, KeepsABlobAndAFolderOfTheSameName) {
  ASSERT_TRUE(put("a", "1").ok());
  ASSERT_TRUE(put("a/b", "2").ok());
  const std::string long_name = std::string(300, 'l') + "/" + std::string(211, 'm');
  ASSERT_TRUE(put(long_name, "3").ok());

  EXPECT_EQ(content("a"), "1");
  EXPECT_EQ(content("a/b"), "2");
  EXPECT_EQ(content(long_name), "3");
  EXPECT_EQ(names(""), (std::vector<std::string>{"a", "a/b", long_name}));
}

TEST_F(BlobFilesTest, StoresNothingWhenTheDigestDiffers) {
  EXPECT_EQ(put("a", "abd", kDigestOfAbc).error().code, Code::invalid_argument);
  EXPECT_EQ(put("a", "abc", "no digest").error().code, Code::invalid_argument);

  EXPECT_EQ(files_->get("a").error().code, Code::not_found);
  EXPECT_EQ(temporary_files(), 0);
  EXPECT_TRUE(put("a", "abc", kDigestOfAbc).ok());
}

TEST_F(BlobFilesTest, ReadersKeepWhatTheyOpened) {
  ASSERT_TRUE(put("a", "old").ok());
  auto before_replace = files_->get("a");
  ASSERT_TRUE(put("a", "new").ok());
  auto before_delete = files_->get("a");
  ASSERT_TRUE(files_->remove("a").ok());

  EXPECT_EQ(read_all(before_replace->file.get()), "old");
  EXPECT_EQ(read_all(before_delete->file.get()), "new");
  EXPECT_EQ(files_->remove("a").error().code, Code::not_found);
}

TEST_F(BlobFilesTest, DeletionLeavesNoEmptyFolders) {
  ASSERT_TRUE(put("a/b/c", "1").ok());
  ASSERT_TRUE(put("a/d", "2").ok());

  ASSERT_TRUE(files_->remove("a/b/c").ok());
  EXPECT_FALSE(fs::exists(folder_ / "blobs/a@/b@"));
  ASSERT_TRUE(files_->remove("a/d").ok());

  EXPECT_TRUE(fs::is_empty(folder_ / "blobs"));
}

TEST_F(BlobFilesTest, RefusesHostileNamesInEveryMethod) {
  for (const std::string name : {"../x", "a/../../x", "/etc/passwd", "", "a//b", "temporary@"}) {
    EXPECT_EQ(put(name, "x").error().code, Code::invalid_argument) << name;
    EXPECT_EQ(files_->get(name).error().code, Code::invalid_argument) << name;
    EXPECT_EQ(files_->remove(name).error().code, Code::invalid_argument) << name;
  }
  EXPECT_FALSE(files_->list("a b", 10, "").ok());
}

TEST_F(BlobFilesTest, ListsInNameOrderPageByPage) {
  for (const char* name : {"b", "a/2", "a-1", "a", "a/10", "a.x", "c/1"}) ASSERT_TRUE(put(name, "x").ok());

  EXPECT_EQ(names(""), (std::vector<std::string>{"a", "a-1", "a.x", "a/10", "a/2", "b", "c/1"}));
  EXPECT_EQ(names("a/"), (std::vector<std::string>{"a/10", "a/2"}));
  EXPECT_EQ(names("a/1"), (std::vector<std::string>{"a/10"}));
  const auto first = files_->list("", 3, "");
  EXPECT_TRUE(first->more);
  EXPECT_EQ(first->blobs.back().name, "a.x");
  EXPECT_EQ(names("", 10, "a.x"), (std::vector<std::string>{"a/10", "a/2", "b", "c/1"}));
  EXPECT_FALSE(files_->list("", 7, "")->more);
}

TEST_F(BlobFilesTest, ReadsAPipeToItsEndAndGivesUpAtTheDeadline) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  ASSERT_EQ(::write(out.get(), "half", 4), 4);

  const auto late = files_->put("a", in.get(), {}, Deadline::after(std::chrono::milliseconds(20)));
  EXPECT_EQ(late.error().code, Code::deadline_exceeded);
  EXPECT_EQ(temporary_files(), 0);

  ASSERT_EQ(::write(out.get(), "whole", 5), 5);
  out.reset();
  ASSERT_TRUE(files_->put("a", in.get(), {}, Deadline::after(std::chrono::seconds(10))).ok());
  EXPECT_EQ(content("a"), "whole");
}

TEST_F(BlobFilesTest, TheNextStartRemovesWhatAKilledWriterLeft) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto writer = files_->writer("torn");
    if (writer && writer->write("half of it").ok()) [[maybe_unused]]
      const auto told = ::write(ready[1], "r", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(open()->leftovers_removed(), 0) << "its writer lives";

  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);

  EXPECT_EQ(open()->leftovers_removed(), 1);
  EXPECT_EQ(temporary_files(), 0);
  EXPECT_EQ(files_->get("torn").error().code, Code::not_found);
  ::close(ready[0]);
  ::close(ready[1]);
}

// A file size limit stands for the full disk: the kernel stops the write in the middle either way.
TEST_F(BlobFilesTest, AWriteThatFailsHalfWayLeavesNothing) {
  const auto source = source_with(std::string(600'000, 'x'));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);

  const auto result = files_->put("big", source.get(), {}, Deadline::none());

  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(temporary_files(), 0);
  EXPECT_EQ(files_->get("big").error().code, Code::not_found);
}

TEST_F(BlobFilesTest, ADigestThatWasLostIsComputedAgain) {
  ASSERT_TRUE(put("a", "abc").ok());
  ASSERT_EQ(::removexattr((folder_ / "blobs/a").c_str(), "user.flynn.sha512_256"), 0);

  EXPECT_EQ(files_->get("a")->info.sha512_256, kDigestOfAbc);
  EXPECT_GT(::getxattr((folder_ / "blobs/a").c_str(), "user.flynn.sha512_256", nullptr, 0), 0);
}

TEST_F(BlobFilesTest, ReadersOfABlobThatIsReplacedAllTheTimeSeeItWhole) {
  ASSERT_TRUE(put("dir/a", std::string(100'000, 'a')).ok());
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0, reads = 0;
  auto read_loop = [&] {
    while (!done) {
      auto blob = files_->get("dir/a");
      if (!blob) continue;  // between a delete and a put
      const auto text = read_all(blob->file.get());
      if (text.size() != 100'000 || text != std::string(text.size(), text[0])) ++torn;
      ++reads;
    }
  };
  std::thread reader1(read_loop), reader2(read_loop);
  auto write_loop = [&](char letter) {
    for (int round = 0; round < 40; ++round) {
      auto writer = files_->writer("dir/a");
      EXPECT_TRUE(writer->write(std::string(100'000, letter)).ok());
      EXPECT_TRUE(writer->commit("dir/a", {}).ok());
      if (round % 8 == 0) [[maybe_unused]]
        const auto removed = files_->remove("dir/a");
    }
  };
  std::thread writer1(write_loop, 'b'), writer2(write_loop, 'c');
  writer1.join();
  writer2.join();
  while (reads == 0) std::this_thread::yield();
  done = true;
  reader1.join();
  reader2.join();

  EXPECT_EQ(torn, 0);
  EXPECT_EQ(temporary_files(), 0);
}

TEST_F(BlobFilesTest, CountsBlobsAndBytes) {
  ASSERT_TRUE(put("a", "123").ok());
  ASSERT_TRUE(put("b/c", "12").ok());

  const auto status = files_->status();

  EXPECT_EQ(status->blobs, 2u);
  EXPECT_EQ(status->bytes, 5u);
  EXPECT_GT(status->free_bytes, 0u);
}

}  // namespace
}  // namespace flynn::blobstore
