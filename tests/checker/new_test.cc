// What `flynn-plugin new` writes compiles, whatever it implements and is called.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "../e2e/program.h"

namespace flynn {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class NewProject : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "new.XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(folder_); }

  e2e::Outcome create(const std::string& name, const std::string& interface, const std::string& language) {
    return e2e::run({FLYNN_PLUGIN, "new", name, "--implements", interface, "--lang", language},
                    {.folder = folder_, .timeout = 20s});
  }
  std::string file_of(const std::string& name, const std::string& ending) const {
    return folder_ + "/" + name + "/" + name + ending;
  }
  static e2e::Outcome compile_c(const std::string& file) {
    return e2e::run({C_COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", SDK_INCLUDE, file},
                    {.timeout = 60s});
  }
  static e2e::Outcome compile_cpp(const std::string& file) {
    return e2e::run(
        {CPP_COMPILER, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", SDK_INCLUDE, file},
        {.timeout = 60s});
  }

  std::string folder_;
};

TEST_F(NewProject, CompilesInCForEveryInterface) {
  int tried = 0;
  for (const auto& entry : fs::directory_iterator(INTERFACES_DIR)) {
    if (entry.path().extension() != ".json") continue;
    const auto name = entry.path().stem().string();

    const auto made = create(name, "flynn." + name + "/1", "c");

    ASSERT_EQ(made.exit_code, 0) << made.out;
    const auto compiled = compile_c(file_of(name, ".c"));
    EXPECT_EQ(compiled.exit_code, 0) << name << ":\n" << compiled.out;
    ++tried;
  }
  EXPECT_GE(tried, 10);
}

TEST_F(NewProject, CompilesInCppForEveryInterface) {
  for (const auto& entry : fs::directory_iterator(INTERFACES_DIR)) {
    if (entry.path().extension() != ".json") continue;
    const auto name = entry.path().stem().string();

    const auto made = create(name, "flynn." + name + "/1", "cpp");

    ASSERT_EQ(made.exit_code, 0) << made.out;
    const auto compiled = compile_cpp(file_of(name, ".cc"));
    EXPECT_EQ(compiled.exit_code, 0) << name << ":\n" << compiled.out;
  }
}

TEST_F(NewProject, ClaimsTheMinorThatHasItsMethods) {
  ASSERT_EQ(create("control", "flynn.controller/1", "c").exit_code, 0);

  std::ifstream file(folder_ + "/control/manifest.json");
  const std::string manifest{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(manifest.find("\"flynn.controller/1.1\""), std::string::npos) << manifest;
}

TEST_F(NewProject, IsRefusedForAnInterfaceOfFlynnsThatThereIsNot) {
  for (const auto* interface : {"flynn.databse/1", "flynn.database/2", "flynn.node/1", "flynn.plugin/1"}) {
    const auto made = create("chest", interface, "c");

    EXPECT_EQ(made.exit_code, 64) << interface;
    EXPECT_NE(made.out.find(interface), std::string::npos) << made.out;
    EXPECT_NE(made.out.find("\n  flynn.database/1\n"), std::string::npos) << made.out;
  }
  EXPECT_EQ(create("chest", "flynn.database/1.7", "c").exit_code, 64) << "the minor is not chosen";
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(NewProject, TouchesNothingThatExists) {
  fs::create_directory(folder_ + "/chest");
  std::ofstream(folder_ + "/letter") << "Dear reader";

  const auto made = create("chest", "com.example.chest/1", "c");
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_NE(made.out.find("it exists"), std::string::npos) << made.out;
  EXPECT_TRUE(fs::is_empty(folder_ + "/chest"));
  EXPECT_EQ(create("letter", "com.example.chest/1", "c").exit_code, 1);
}

TEST_F(NewProject, CompilesInCppThoughItIsCalledAsAMethodOrAClassOfTheSdk) {
  for (const auto* name : {"status", "plugin"}) {
    const auto made = create(name, "flynn.database/1", "cpp");

    ASSERT_EQ(made.exit_code, 0) << made.out;
    const auto compiled = compile_cpp(file_of(name, ".cc"));
    EXPECT_EQ(compiled.exit_code, 0) << name << ":\n" << compiled.out;
  }
}

TEST_F(NewProject, IsRefusedWhereNothingCouldBeBuilt) {
  for (const auto* name : {"test", "all", "install", "../x", "7up", "", "two words", "a\"b", "Ã¼ber"}) {
    const auto made = create(name, "com.example.chest/1", "c");

    EXPECT_EQ(made.exit_code, 64) << name;
    EXPECT_NE(made.out.find("NAME"), std::string::npos) << made.out;
  }
  EXPECT_EQ(create("chest", "com.example.chest", "c").exit_code, 64) << "an interface has a major";
  EXPECT_EQ(create("chest", "com.example.chest/1", "rust").exit_code, 64);
  EXPECT_TRUE(fs::is_empty(folder_)) << "what is refused leaves nothing behind";
}

}  // namespace
}  // namespace flynn
