// The chain of the audit log: what it finds out, and how it goes on after a power cut or a full disk.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "audit_desk.h"
#include "audit_log.h"
#include "audit_verify.h"
#include "sha256.h"

namespace flynn::core {
namespace {

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    std::string pattern = "/tmp/flynn-audit.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    file_ = folder_ + "/audit.ndjson";
  }
  ~AuditTest() override { std::filesystem::remove_all(folder_); }

  // The first entry and `count` more.
  void write(int count) const {
    auto log = AuditFile::open(file_, "node1");
    for (int i = 0; i < count; ++i) ASSERT_TRUE(log->append({{"action", "swap"}, {"slot", "cage"}, {"i", i}}).ok());
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream stream(file_);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  AuditVerdict verdict_on(const std::vector<std::string>& lines, const std::string& expected = {}) const {
    std::ofstream stream(file_, std::ios::trunc);
    for (const auto& line : lines) stream << line << '\n';
    stream.close();
    return *verify_audit_file(file_, expected);
  }

  std::string folder_, file_;
};

TEST_F(AuditTest, ChainsEachLineToTheOneBefore) {
  write(3);

  const auto all = lines();
  const auto second = parse_json_object(all.at(1));

  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(string_or(*parse_json_object(all.at(0)), "node"), "node1");
  EXPECT_EQ(string_or(*second, "prev"), sha256_hex(all.at(0)));
  EXPECT_EQ(int_or(*second, "seq"), 2);
  const auto verdict = verify_audit_file(file_);
  EXPECT_TRUE(verdict->whole()) << verdict->words;
  EXPECT_EQ(verdict->entries, 4);
  EXPECT_EQ(verdict->head.digest, sha256_hex(all.back()));
}

TEST_F(AuditTest, NamesTheLineThatWasChanged) {
  write(5);
  auto all = lines();
  all.at(2).replace(all.at(2).find("cage"), 4, "nest");

  const auto verdict = verdict_on(all);

  EXPECT_EQ(verdict.broken_line, 3);
  EXPECT_NE(verdict.words.find("changed"), std::string::npos);
}

TEST_F(AuditTest, FindsEverySingleBitThatWasFlipped) {
  write(2);
  const auto all = lines();
  for (std::size_t at = 0; at < all.at(1).size(); ++at) {
    auto flipped = all;
    flipped.at(1).at(at) = static_cast<char>(flipped.at(1).at(at) ^ 1);
    EXPECT_FALSE(verdict_on(flipped).whole()) << "byte " << at;
  }
}

TEST_F(AuditTest, FindsLinesThatWereTakenOutPutInOrSwapped) {
  write(5);
  const auto all = lines();
  auto without = all, twice = all, swapped = all;
  without.erase(without.begin() + 2);
  twice.insert(twice.begin() + 2, all.at(2));
  std::swap(swapped.at(2), swapped.at(3));

  EXPECT_EQ(verdict_on(without).broken_line, 3);
  EXPECT_EQ(verdict_on(twice).broken_line, 4);
  EXPECT_EQ(verdict_on(swapped).broken_line, 3);
  EXPECT_TRUE(verdict_on(all).whole());
}

TEST_F(AuditTest, TakesNeitherAnEmptiedFileNorAFolderForAWholeLog) {
  EXPECT_FALSE(verdict_on({}).whole());
  EXPECT_NE(verdict_on({}).words.find("emptied"), std::string::npos);
  EXPECT_FALSE(verify_audit_file(folder_).ok());
}

TEST_F(AuditTest, FindsACutEndOnlyByAHeadThatWasNoted) {
  write(5);
  auto all = lines();
  const auto head = sha256_hex(all.back());
  EXPECT_TRUE(verdict_on(all, head).whole());
  all.pop_back();

  EXPECT_TRUE(verdict_on(all).whole()) << "the chain alone can't tell";
  EXPECT_FALSE(verdict_on(all, head).whole());
}

TEST_F(AuditTest, ARunningHostNoticesThatTheEndWasCutOff) {
  const auto events = std::move(*EventLog::open(folder_ + "/log", "info"));
  const auto log = AuditLog::own(file_, "node1", *events);
  for (int i = 0; i < 4; ++i) log->add({{"action", "swap"}});
  ASSERT_TRUE(log->verify({})->whole());

  auto kept = lines();
  kept.pop_back();
  std::ofstream cut(file_, std::ios::trunc);
  for (const auto& line : kept) cut << line << '\n';
  cut.close();

  const auto verdict = log->verify({});
  EXPECT_FALSE(verdict->whole());
  EXPECT_NE(verdict->words.find("its end was cut off"), std::string::npos) << verdict->words;
}

TEST_F(AuditTest, SaysThatTheLastLineHasNoEnd) {
  write(3);
  EXPECT_FALSE(verify_audit_file(file_)->open_end);

  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 20);

  EXPECT_TRUE(verify_audit_file(file_)->whole());
  EXPECT_TRUE(verify_audit_file(file_)->open_end);
}

TEST_F(AuditTest, GoesOnAfterAPowerCutAndSaysSo) {
  write(3);
  const auto size = std::filesystem::file_size(file_);
  for (std::uintmax_t left = size - 1; left + 40 > size; --left) {
    std::filesystem::resize_file(file_, left);
    ASSERT_FALSE(left == size - 1 && lines().size() != 4);

    auto log = AuditFile::open(file_, "node1");
    ASSERT_TRUE(log.ok()) << log.error().message;
    ASSERT_TRUE(log->append({{"action", "swap"}}).ok());

    const auto verdict = verify_audit_file(file_);
    EXPECT_TRUE(verdict->whole()) << "cut to " << left << ": " << verdict->words;
    EXPECT_EQ(verdict->cut_lines, left == size - 1 ? 0 : 1) << "only the line feed was missing, or more";
    std::filesystem::remove(file_);
    write(3);
  }
}

TEST_F(AuditTest, GoesOnAfterZerosAndAfterAFirstLineThatWasCut) {
  write(2);
  std::ofstream(file_, std::ios::app) << std::string(4096, '\0');
  ASSERT_TRUE(AuditFile::open(file_, "node1").ok());
  EXPECT_TRUE(verify_audit_file(file_)->whole());

  std::ofstream(file_, std::ios::trunc) << R"({"seq":1,"at)";
  ASSERT_TRUE(AuditFile::open(file_, "node1").ok());
  const auto verdict = verify_audit_file(file_);
  EXPECT_TRUE(verdict->whole()) << verdict->words;
  EXPECT_EQ(verdict->segments, 2);
}

TEST_F(AuditTest, TakesNoBrokenLineForACutOneWithoutTheEntryThatSaysSo) {
  write(4);
  auto all = lines();
  all.at(2) = all.at(2).substr(0, 30);

  EXPECT_EQ(verdict_on(all).broken_line, 3);
}

TEST_F(AuditTest, KeepsTheOldLogAsideAndItsDigest) {
  std::ofstream(folder_ + "/history.ndjson") << "{\"action\":\"swap\"}\n";
  write(0);

  const auto first = parse_json_object(lines().at(0));

  const auto* before = find_object(*first, "before");
  ASSERT_NE(before, nullptr);
  EXPECT_EQ(string_or(*before, "sha256"), sha256_hex("{\"action\":\"swap\"}\n"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/history.ndjson"));
}

// A full disk, as the kernel lets a test have one: no file may grow past the limit.
TEST_F(AuditTest, LosesWhatAFullDiskDoesNotTakeAndSaysHowMany) {
  auto log = AuditFile::open(file_, "node1");
  std::signal(SIGXFSZ, SIG_IGN);  // NOLINT: of this process, given back below
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{std::filesystem::file_size(file_) + 20, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  const auto first = log->append({{"action", "swap"}});
  const auto second = log->append({{"action", "swap"}});
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  const auto third = log->append({{"action", "swap"}});

  EXPECT_FALSE(first.ok());
  EXPECT_FALSE(second.ok());
  ASSERT_TRUE(third.ok()) << third.error().message;
  EXPECT_EQ(*third, 2);
  EXPECT_EQ(int_or(*parse_json_object(lines().back()), "lost_before"), 2);
  EXPECT_TRUE(verify_audit_file(file_)->whole());
}

TEST_F(AuditTest, TheKeeperWritesForAHostAndTheHostReads) {
  AuditDesk desk(file_, "node1");
  auto socket = desk.connect();
  ASSERT_TRUE(socket.ok());
  auto events = EventLog::open(folder_ + "/log", "info");
  const auto log = AuditLog::kept(std::move(*socket), file_, **events);
  std::thread keeper([&] {
    while (desk.serve()) {
    }
  });
  {
    const ActorScope actor(json::object{{"uid", 7}});
    EXPECT_EQ(*log->append({{"action", "swap"}, {"slot", "cage"}}), 2);
  }
  EXPECT_EQ(*log->append({{"action", "boot"}, {"slot", "nest"}}), 3);
  EXPECT_TRUE(log->append({{"action", "long"}, {"words", std::string(150'000, 'x')}}).ok());

  const auto of_cage = log->last("cage", 10), all = log->last("", 2);
  EXPECT_EQ(of_cage.size(), 1u);
  EXPECT_EQ(int_or(*find_object(of_cage[0].as_object(), "by"), "uid"), 7);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(string_or(all[0].as_object(), "by"), "core");
  EXPECT_GT(int_or(all[1].as_object(), "left_out_bytes"), 150'000);
  EXPECT_TRUE(log->verify("")->whole());
  ::shutdown(desk.fd(), SHUT_RDWR);
  keeper.join();
  const auto after = log->append({{"action", "swap"}});
  EXPECT_FALSE(after.ok()) << "the keeper has gone";
}

TEST_F(AuditTest, AFailureIsLoggedAndNothingStops) {
  auto events = EventLog::open(folder_ + "/log", "info");
  const auto log = AuditLog::own(folder_ + "/no/such/folder/audit.ndjson", "node1", **events);

  log->add({{"action", "swap"}, {"slot", "cage"}});

  std::ifstream stream(folder_ + "/log");
  std::string line;
  std::getline(stream, line);
  EXPECT_NE(line.find("audit_entry_lost"), std::string::npos) << line;
  EXPECT_TRUE(log->last("", 10).empty());
}

}  // namespace
}  // namespace flynn::core
