// Whatever bytes come: a plan is refused, or it is a tree that nothing leaves.
#include "layer_plan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "flynn/sdk/unique_fd.h"
#include "tar_maker_test.h"

namespace flynn::images {
namespace {

using Kind = PlannedEntry::Kind;

Result<LayerPlan> plan_of(const std::string& bytes, const PlanLimits& limits = {}, Deadline deadline = Deadline::none(),
                          const StopSignal& stop = {}) {
  const UniqueFd tar(::memfd_create("tar", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(tar.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return LayerPlan::read(tar.get(), limits, deadline, stop);
}

/// What is wrong with a plan; empty when nothing is.
std::string fault_of(const LayerPlan& plan) {
  for (const auto& [path, entry] : plan.entries()) {
    auto checked = checked_path(path);
    if (!checked || *checked != path || path.empty()) return "the path " + path;
    const auto slash = path.rfind('/');
    if (slash != std::string::npos) {
      const auto parent = plan.entries().find(path.substr(0, slash));
      if (parent == plan.entries().end() || parent->second.kind != Kind::folder) return "the parent of " + path;
    }
    if (path.substr(slash == std::string::npos ? 0 : slash + 1).starts_with(".wh.")) return "Docker's name " + path;
    if (entry.opaque && entry.kind != Kind::folder) return "opaque: " + path;
    if (entry.kind != Kind::hard_link) continue;
    const auto target = plan.entries().find(entry.target);
    if (target == plan.entries().end() || target->second.kind == Kind::folder || target->second.kind == Kind::hard_link)
      return "the link " + path;
  }
  return {};
}

void mend_checksum(std::string& tar, std::size_t header) {
  tar.replace(header + 148, 8, std::string(8, ' '));
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[header + i]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  tar.replace(header + 148, 7, std::string(text, 7));
}

TEST(LayerPlan, HasNoFaultWhateverBytesAreChanged) {
  TarMaker maker;
  maker.folder("a")
      .file("a/b", "content")
      .link("a/l", "a/b", '1')
      .link("s", "/etc")
      .file("a/.wh.x")
      .file("c/.wh..wh..opq");
  maker.add({"d/" + std::string(120, 'p'), '0', "x", "", 0644, 1, 2, 0, 0, {{"user.k", "v"}}});
  maker.add({"n", '3', "", "", 0600, 0, 0, 1, 3, {}});
  const std::string whole = maker.bytes();
  const std::string telling{'.', '/', 'w', 'h', '\0', '5', '2', '1', '0', 'a'};
  std::mt19937 random(7);
  int taken = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string tar = whole;
    for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
      const std::size_t header = random() % (tar.size() / 512) * 512;
      const std::size_t spot = random() % 3 == 0 ? 156 : random() % 3 == 0 ? 157 + random() % 20 : random() % 512;
      tar[header + spot] = random() % 4 == 0 ? static_cast<char>(random()) : telling[random() % telling.size()];
      mend_checksum(tar, header);
    }

    const auto plan = plan_of(tar);

    if (!plan) {
      EXPECT_EQ(plan.error().code, Code::invalid_argument) << plan.error().message;
      continue;
    }
    ++taken;
    ASSERT_EQ(fault_of(*plan), "") << "round " << round;
  }
  EXPECT_GT(taken, 400) << "the changes must not only break the tar";
}

TEST(LayerPlan, CountsWhatItWouldHoldInMemory) {
  PlanLimits limits;
  limits.words_bytes_max = 1000;
  TarMaker maker;
  for (int i = 0; i < 20; ++i) maker.file(std::string(90, 'n') + std::to_string(i));

  EXPECT_EQ(plan_of(maker.bytes(), limits).error().code, Code::invalid_argument);
}

TEST(LayerPlan, AddsUpNoSizesThatASparseFileClaims) {
  const auto whole = plan_of(TarMaker().file("a", "content").sparse("b", 1 << 20).bytes());
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->entries().at("b").size, 1 << 20);

  for (const int times : {1, 2, 3}) {
    TarMaker maker;
    maker.file("a", "content");
    for (int i = 0; i < times; ++i) maker.sparse("b" + std::to_string(i), INT64_MAX);
    const auto plan = plan_of(maker.bytes());

    ASSERT_FALSE(plan) << times;
    EXPECT_NE(plan.error().message.find("layer_bytes_max"), std::string::npos) << plan.error().message;
  }
}

TEST(LayerPlan, EndsWhenTheTimeIsOverOrItIsAsked) {
  const std::string tar = TarMaker().file("a").bytes();
  StopSignal stop;

  EXPECT_EQ(plan_of(tar, {}, Deadline{1}, stop).error().code, Code::deadline_exceeded);
  EXPECT_TRUE(plan_of(tar, {}, Deadline::none(), stop));
  stop.ask();
  EXPECT_EQ(plan_of(tar, {}, Deadline::none(), stop).error().code, Code::unavailable);
}

// The signal comes when the first entries were read: the pipe holds fewer bytes than were written before it.
TEST(LayerPlan, EndsInTheMiddleOfALayer) {
  TarMaker maker;
  for (int i = 0; i < 1000; ++i) maker.file("f" + std::to_string(i));
  const std::string bytes = maker.bytes();
  const std::size_t half = bytes.size() / 2;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  UniqueFd in(ends[1]);
  ASSERT_LT(::fcntl(in.get(), F_GETPIPE_SZ), static_cast<int>(half));
  StopSignal stop;
  std::thread docker([&] {
    EXPECT_EQ(::write(in.get(), bytes.data(), half), static_cast<ssize_t>(half));
    stop.ask();
    EXPECT_EQ(::write(in.get(), bytes.data() + half, bytes.size() - half), static_cast<ssize_t>(bytes.size() - half));
    in.reset();
  });

  const auto plan = LayerPlan::read(out.get(), {}, Deadline::none(), stop);
  std::string rest(bytes.size(), '\0');
  while (::read(out.get(), rest.data(), rest.size()) > 0) {
  }
  docker.join();

  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::unavailable);
}

TEST(LayerPlan, MakesTheFoldersThatNoEntryNames) {
  const auto plan =
      plan_of(TarMaker().file("a/b/c/d").file("a/b/x").file("e/f/.wh..wh..opq").file("g/h/.wh.i").bytes());

  ASSERT_TRUE(plan) << plan.error().message;
  std::vector<std::string> paths;
  for (const auto& [path, entry] : plan->entries()) paths.push_back(path);
  EXPECT_EQ(paths,
            (std::vector<std::string>{"a", "a/b", "a/b/c", "a/b/c/d", "a/b/x", "e", "e/f", "g", "g/h", "g/h/i"}));
  EXPECT_EQ(fault_of(*plan), "");
}

TEST(LayerPlan, PathsAreTextThatWasChecked) {
  EXPECT_EQ(*checked_path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(*checked_path("/"), "");
  EXPECT_EQ(*checked_path("..."), "...");
  EXPECT_FALSE(checked_path("a/.."));
  std::string deep = "n";
  for (int i = 1; i < 256; ++i) deep += "/n";
  EXPECT_EQ(*checked_path("/" + deep), deep);
  EXPECT_FALSE(checked_path(deep + "/n"));
  EXPECT_FALSE(checked_path(std::string(5000, 'x')));
}

}  // namespace
}  // namespace flynn::images
