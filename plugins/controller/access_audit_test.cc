// The access log as files: restarts, swaps, torn lines, changed lines.
#include "access_audit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "document.h"

namespace flynn::controller {
namespace {

class AccessLog : public testing::Test {
 protected:
  AccessLog() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-access-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    options_.folder = pattern;
  }
  ~AccessLog() override { std::filesystem::remove_all(options_.folder); }
  static json::object line(int number) { return access_line({}, "GET", "/apps/" + std::to_string(number), 200); }
  std::string newest_file() const {
    std::string last;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder))
      if (entry.path().extension() == ".ndjson") last = std::max(last, entry.path().string());
    return last;
  }
  AccessAuditOptions options_;
};

TEST_F(AccessLog, GoesOnThroughRestartsFilesAndTornLines) {
  options_.file_bytes = 1000;
  options_.files = 3;
  for (int round = 0; round < 10; ++round) {
    AccessAudit audit(options_);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(audit.append(line(10 * round + i)).ok());
    std::ofstream(newest_file(), std::ios::app) << R"({"torn":)";
  }
  AccessAudit audit(options_);
  ASSERT_TRUE(audit.append(line(100)).ok());
  auto checked = audit.verify();
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  auto newest = audit.newest(2, "");
  ASSERT_TRUE(newest.ok());
  EXPECT_EQ(text_of(newest->at(0).as_object(), "path"), "/apps/100");
  EXPECT_EQ(text_of(newest->at(1).as_object(), "path"), "/apps/99");
  EXPECT_GE(*checked, 11U);
  EXPECT_LT(*checked, 40U);  // the oldest files are gone
}

TEST_F(AccessLog, TwoVersionsOfASwapWriteOneChain) {
  options_.file_bytes = 300;  // a new file every few lines
  AccessAudit old_one(options_), new_one(options_);
  for (int i = 0; i < 40; ++i) ASSERT_TRUE((i % 3 == 0 ? old_one : new_one).append(line(i)).ok());
  auto checked = new_one.verify();
  ASSERT_TRUE(checked.ok()) << checked.error().message;
}

TEST_F(AccessLog, ShowsALineThatWasChanged) {
  AccessAudit audit(options_);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(audit.append(line(i)).ok());
  std::string text;
  {
    std::ifstream file(newest_file());
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  text.replace(text.find("/apps/2"), 7, "/apps/9");
  std::ofstream(newest_file()) << text;
  auto checked = audit.verify();
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().message.find("line 4"), std::string::npos) << checked.error().message;
}

}  // namespace
}  // namespace flynn::controller
