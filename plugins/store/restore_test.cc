// A store from an archive: the same keys, and nothing changed whenever it fails.
#include "restore.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "backup/archive_writer.h"
#include "store_world.h"

namespace flynn::store {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Every file below a folder with its bytes.
std::map<std::string, std::string> everything(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    out[entry.path().string()] = entry.is_regular_file() ? content(entry.path()) : "folder";
  return out;
}

class StoreRestore : public testing::Test {
 protected:
  StoreRestore() {
    world_.open();
    EXPECT_TRUE(world_.call("Txn", txn_of({put_op("apps/a", "shop"), put_op("apps/b", "blog")})));
    options_.archive = node_.path() + "/backup.tar";
    options_.folder = node_.path() + "/store";
    options_.given_key = world_.options.journal.key_file;
    given_an_archive();
  }
  void given_an_archive() {
    auto snapshot = world_.call("Snapshot", {});
    ASSERT_TRUE(snapshot);
    std::ofstream file(options_.archive, std::ios::binary);
    auto writer = backup::ArchiveWriter::open([&](std::string_view bytes) -> Result<void> {
      file << bytes;
      return {};
    });
    ASSERT_TRUE((*writer)->add_file(std::string(backup::kStoreName), snapshot->fds.at(0).get()));
    ASSERT_TRUE((*writer)->finish({{"domain", "x.test"}}));
  }
  /// A store of its own at the place to restore to, with a key of its own.
  void given_a_store_there() {
    StoreWorld other;
    other.options.journal = {options_.folder, node_.path() + "/store.key", {}};
    other.open();
    ASSERT_TRUE(other.call("Txn", txn_of({put_op("apps/old", "old")})));
  }
  json::value value_of(const std::string& key) {
    StoreWorld restored;
    restored.options.journal = {options_.folder, node_.path() + "/store.key", {}};
    restored.open();
    auto got = restored.call("Get", {{"key", key}});
    return got && got->body.at("kv").is_object() ? got->body.at("kv").at("value") : json::value();
  }
  void expect_refusal(Code code, const std::string& words) {
    const auto before = everything(node_.path());
    const auto refused = restore_store(options_);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, code) << refused.error().message;
    EXPECT_NE(refused.error().message.find(words), std::string::npos) << refused.error().message;
    EXPECT_EQ(everything(node_.path()), before) << "a refusal changes nothing";
  }

  StoreWorld world_;
  TemporaryFolder node_;
  RestoreOptions options_;
};

TEST_F(StoreRestore, ANewNodeHasTheSameKeys) {
  const auto restored = restore_store(options_);

  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(restored->keys, 2);
  EXPECT_EQ(restored->set_aside, "");
  EXPECT_EQ(value_of("apps/a"), "shop");
  EXPECT_EQ(value_of("apps/b"), "blog");
  EXPECT_EQ(fs::status(node_.path() + "/store.key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(StoreRestore, ANodeWithAStoreIsRefused) {
  fs::copy_file(options_.given_key, node_.path() + "/store.key");
  given_a_store_there();

  expect_refusal(Code::failed_precondition, "has a store");
}

/// As long as it lives this thread is bound to the modes of files, even if it is root's.
class BoundToModes {
 public:
  BoundToModes() {
    ::syscall(SYS_capget, &head_, before_);
    __user_cap_data_struct bound[2] = {before_[0], before_[1]};
    bound[0].effective &= ~((1U << CAP_DAC_OVERRIDE) | (1U << CAP_DAC_READ_SEARCH));
    EXPECT_EQ(::syscall(SYS_capset, &head_, bound), 0);
  }
  ~BoundToModes() { EXPECT_EQ(::syscall(SYS_capset, &head_, before_), 0); }

 private:
  __user_cap_header_struct head_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2]{};
};

TEST_F(StoreRestore, AFolderThatCannotBeReadIsNotTakenForEmpty) {
  fs::copy_file(options_.given_key, node_.path() + "/store.key");
  given_a_store_there();
  const auto before = everything(node_.path());
  fs::permissions(options_.folder, fs::perms::owner_write | fs::perms::owner_exec);
  {
    const BoundToModes bound;

    const auto refused = restore_store(options_);

    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("look for a store in"), std::string::npos) << refused.error().message;
  }
  fs::permissions(options_.folder, fs::perms::owner_all);
  EXPECT_EQ(everything(node_.path()), before);
}

TEST_F(StoreRestore, ALockFileAloneIsNoStore) {
  fs::create_directory(options_.folder);
  std::ofstream(options_.folder + "/store.lock").close();

  const auto restored = restore_store(options_);

  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(restored->set_aside, "");
  for (const auto& entry : fs::directory_iterator(node_.path()))
    EXPECT_EQ(entry.path().string().find(".before-"), std::string::npos) << entry.path();
  EXPECT_EQ(value_of("apps/a"), "shop");
}

TEST_F(StoreRestore, WhoOwnsTheFolderOwnsTheKeyToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a chown";
  fs::create_directory(options_.folder);
  ASSERT_EQ(::chown(options_.folder.c_str(), 12345, 12346), 0);

  const auto restored = restore_store(options_);

  ASSERT_TRUE(restored.ok()) << restored.error().message;
  for (const std::string& path : {options_.folder, options_.folder + "/store.db", node_.path() + "/store.key"}) {
    struct stat facts {};
    ASSERT_EQ(::stat(path.c_str(), &facts), 0) << path;
    EXPECT_EQ(facts.st_uid, 12345U) << path;
    EXPECT_EQ(facts.st_gid, 12346U) << path;
    EXPECT_EQ(facts.st_mode & 077U, 0U) << path;
  }
}

TEST_F(StoreRestore, ForceSetsTheOldStoreAndItsKeyAside) {
  given_a_store_there();
  const std::string old_key = content(node_.path() + "/store.key");
  options_.state = RestoreOptions::State::set_aside;

  const auto restored = restore_store(options_);

  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(value_of("apps/a"), "shop");
  EXPECT_EQ(value_of("apps/old"), nullptr);
  EXPECT_TRUE(fs::exists(restored->set_aside + "/store.db"));
  const std::string mark = restored->set_aside.substr(options_.folder.size());
  EXPECT_EQ(content(node_.path() + "/store.key" + mark), old_key);
}

TEST_F(StoreRestore, ARunningStoreIsRefusedEvenWithForce) {
  fs::copy_file(options_.given_key, node_.path() + "/store.key");
  StoreWorld running;
  running.options.journal = {options_.folder, node_.path() + "/store.key", {}};
  running.open();
  options_.state = RestoreOptions::State::set_aside;

  expect_refusal(Code::failed_precondition, "is running");
}

TEST_F(StoreRestore, AnAlteredByteIsRefused) {
  std::string bytes = content(options_.archive);
  bytes[5000] = static_cast<char>(bytes[5000] ^ 1);
  std::ofstream(options_.archive, std::ios::binary) << bytes;

  expect_refusal(Code::invalid_argument, "SHA-256");
}

TEST_F(StoreRestore, ACutArchiveIsRefused) {
  fs::resize_file(options_.archive, fs::file_size(options_.archive) / 2);

  expect_refusal(Code::invalid_argument, "cut off");
}

TEST_F(StoreRestore, WithoutTheKeyNothingIsWritten) {
  options_.given_key.clear();

  expect_refusal(Code::failed_precondition, "--key");
}

TEST_F(StoreRestore, AnotherKeyIsFoundBeforeAnythingIsWritten) {
  StoreWorld other;
  other.open();
  options_.given_key = other.options.journal.key_file;

  expect_refusal(Code::failed_precondition, "is not the one the store was written with");
}

TEST_F(StoreRestore, ACheckChangesNothing) {
  options_.extent = RestoreOptions::Extent::check;
  const auto before = everything(node_.path());

  const auto checked = restore_store(options_);

  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_EQ(checked->keys, 2);
  EXPECT_EQ(everything(node_.path()), before);
}

}  // namespace
}  // namespace flynn::store
