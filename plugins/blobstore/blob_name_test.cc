#include "blob_name.h"

#include <gtest/gtest.h>

namespace flynn::blobstore {
namespace {

TEST(BlobName, TakesOrdinaryNames) {
  for (const char* name : {"a", "layers/0a1b.squashfs", "a/b/c", ".hidden", "...", "-", "A_b-1.2"})
    EXPECT_TRUE(check_name(name).ok()) << name;
  EXPECT_TRUE(check_name(std::string(512, 'x')).ok());
}

TEST(BlobName, RefusesWhatCouldLeaveTheFolderOrConfuse) {
  using namespace std::string_view_literals;
  for (const auto name :
       {""sv,    "/"sv,    "/a"sv,  "a/"sv, "a//b"sv, "."sv,     ".."sv,   "a/.."sv,     "../a"sv, "a/./b"sv,
        "a b"sv, "a\0b"sv, "a\n"sv, "a@"sv, "a+"sv,   "a%2fb"sv, "a\\b"sv, "\xc3\xa4"sv, "~"sv,    "a:b"sv})
    EXPECT_EQ(check_name(name).error().code, Code::invalid_argument) << name;
  EXPECT_FALSE(check_name(std::string(513, 'x')).ok());
}

TEST(BlobName, FoldersAndBlobsNeverShareAPath) {
  EXPECT_EQ(path_of_name("a"), "a");
  EXPECT_EQ(path_of_name("a/b"), "a@/b");
  EXPECT_EQ(path_of_name(std::string(201, 'x')), std::string(200, 'x') + "+/x");
}

TEST(BlobName, ReadsEntriesBack) {
  std::string part;

  EXPECT_EQ(name_of_entry("a", part), EntryKind::blob);
  EXPECT_EQ(part, "a");
  EXPECT_EQ(name_of_entry("a@", part), EntryKind::folder);
  EXPECT_EQ(part, "a/");
  EXPECT_EQ(name_of_entry("abc+", part), EntryKind::folder);
  EXPECT_EQ(part, "abc");
  EXPECT_EQ(name_of_entry("lost found", part), EntryKind::stranger);
  EXPECT_EQ(name_of_entry("@", part), EntryKind::stranger);
}

}  // namespace
}  // namespace flynn::blobstore
