// How the host answers each sin, at boot and at a swap.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "zoo_node.h"

namespace flynn::core {
namespace {

// What can be told from the file alone: no code of it runs.
TEST(Zoo, RefusesAFileBeforeAnyOfItsCodeRuns) {
  const std::map<std::string, std::string> answers{
      {"no_note", "has no .note.flynn"},
      {"extra_export", "also_visible"},
      {"lazy", "binds lazily"},
      {"nodelete", "-z nodelete"},
      {"unique", "GNU_UNIQUE"},
      {"abi_2", "this host speaks 1.1"},
      {"abi_newer", "this host speaks 1.1"},
      {"bad_version", "semantic version"},
      {"bad_interface", "no interface"},
  };
  for (const auto& [animal, words] : answers) {
    const auto judged = verify_plugin(zoo_file(animal));
    ASSERT_FALSE(judged.ok()) << animal;
    EXPECT_NE(judged.error().message.find(words), std::string::npos) << animal << ": " << judged.error().message;
  }
  EXPECT_TRUE(verify_plugin(zoo_file("good")).ok());
}

TEST(Zoo, RefusesForeignAndTruncatedFiles) {
  const std::string folder = testing::TempDir() + "zoo-" + std::to_string(::getpid()) + "/";
  std::filesystem::create_directories(folder);
  const std::string letter = folder + "letter.so", cut = folder + "cut.so", empty = folder + "empty.so";
  std::ofstream(letter) << std::string(5000, 'x');
  std::ofstream(empty).flush();
  std::string bytes;
  std::ifstream whole(zoo_file("good"), std::ios::binary);
  std::getline(whole, bytes, '\0');
  whole.seekg(0);
  const auto size = static_cast<std::size_t>(std::filesystem::file_size(zoo_file("good")));
  std::string image(size, '\0');
  whole.read(image.data(), static_cast<std::streamsize>(size));

  EXPECT_NE(verify_plugin(letter).error().message.find("no ELF file"), std::string::npos);
  EXPECT_FALSE(verify_plugin(empty).ok());
  EXPECT_FALSE(verify_plugin("/nowhere.so").ok());
  EXPECT_FALSE(verify_plugin(folder).ok());
  for (std::size_t part = 64; part < size; part += size / 37) {
    std::ofstream(cut, std::ios::binary) << image.substr(0, part);
    EXPECT_FALSE(verify_plugin(cut).ok()) << "the first " << part << " of " << size << " bytes";
  }
}

TEST(Zoo, ReportsAtBootWhatAPluginDoesWrongAndRunsTheRest) {
  const std::map<std::string, std::string> answers{
      {"create_fails", "was never born"},
      {"configure_refuses", "not to my taste"},
      {"start_fails", "the engine does not turn"},
      {"unhealthy", "a fever"},
      {"activate_fails", "will not work"},
      {"hang_in_start", "did not return in time"},
      {"no_handle", "no instance with handle"},
      {"no_instance", "no instance"},
      {"wrong_descriptor", "descriptor"},
      {"needs_missing", "flynn.missing/1.0"},
      {"no_note", "no .note.flynn"},
      {"missing_library", "libzoo_gone.so: cannot open shared object file: No such file or directory; install"},
      {"missing_symbol", "load animal: undefined symbol: zoo_nobody_has_this; link it"},
  };
  for (const auto& [animal, words] : answers) {
    ZooNode zoo({{"cage", animal.c_str()}, {"other", "provides_less"}});
    EXPECT_NE(zoo.state(), "up") << animal;
    EXPECT_NE(zoo.reason().find(words), std::string::npos) << animal << ": " << zoo.reason();
    EXPECT_EQ(zoo.state("other"), "up") << animal << " must not disable its neighbour";
    EXPECT_EQ(zoo.version(), "unavailable") << animal;
    EXPECT_FALSE(bool_or(zoo.node().status(), "healthy"));
  }
}

TEST(Zoo, KeepsTheOldVersionWhenTheNewOneIsNoGood) {
  const std::map<std::string, std::string> answers{
      {"create_fails", "was never born"},
      {"configure_refuses", "not to my taste"},
      {"start_fails", "the engine does not turn"},
      {"unhealthy", "a fever"},
      {"activate_fails", "rolled back"},
      {"sick_after_flip", "fell ill at work"},
      {"no_handle", "no instance"},
      {"wrong_descriptor", "descriptor"},
      {"hang_in_start", "did not return in time"},
      {"needs_missing", "flynn.missing"},
      {"provides_less", "zoo.animal/1.0"},
      {"no_note", "no .note.flynn"},
      {"missing_library", "libzoo_gone.so"},
      {"missing_symbol", "zoo_nobody_has_this"},
  };
  ZooNode zoo("good_2");
  ASSERT_EQ(zoo.version(), "2.0.0");
  for (const auto& [animal, words] : answers) {
    const auto swapped = zoo.swap(animal);
    ASSERT_FALSE(swapped.ok()) << animal;
    EXPECT_NE(swapped.error().message.find(words), std::string::npos) << animal << ": " << swapped.error().message;
    EXPECT_EQ(zoo.version(), "2.0.0") << animal;
    EXPECT_EQ(zoo.state(), "up") << animal;
  }
  EXPECT_TRUE(zoo.swap("good").ok());
  EXPECT_EQ(zoo.version(), "1.0.0");
}

TEST(Zoo, KeepsTheOldVersionWhenAnExclusiveSwapFails) {
  ZooNode zoo("exclusive_2");
  for (const char* animal : {"exclusive_import_fails", "exclusive_start_fails", "exclusive_sick_after_flip"}) {
    EXPECT_FALSE(zoo.swap(animal).ok()) << animal;
    EXPECT_EQ(zoo.version(), "2.0.0") << animal;
  }
}

TEST(Zoo, TheOldVersionGetsBackWhatOnlyOneMayHave) {
  ZooNode zoo("locks");

  const auto swapped = zoo.swap("locks_unhealthy");

  ASSERT_FALSE(swapped.ok());
  EXPECT_NE(swapped.error().message.find("a fever"), std::string::npos) << swapped.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0") << "it has its lock again, and answers";
}

TEST(Zoo, GivesUpASwapWhenTheOldVersionDoesNotLetGo) {
  for (const char* animal : {"exclusive_quiesce_fails", "exclusive_export_fails"}) {
    ZooNode zoo(std::string(animal).c_str());
    EXPECT_FALSE(zoo.swap("exclusive_2").ok()) << animal;
    EXPECT_EQ(zoo.version(), "1.0.0") << animal;
  }
}

TEST(Zoo, KeepsMappedWhatCanNotBeUnloaded) {
  for (const auto& [animal, words] : std::map<std::string, std::string>{
           {"stop_fails", "will not stop"}, {"thread_stays", "left a thread behind"}, {"hang_in_drain", ""}}) {
    ZooNode zoo(std::string(animal).c_str());

    const auto swapped = zoo.swap("good_2");

    ASSERT_TRUE(swapped.ok()) << animal << ": " << swapped.error().message;
    EXPECT_EQ(zoo.version(), "2.0.0") << animal;
    EXPECT_FALSE(swapped->report.unmapped) << animal;
    EXPECT_NE(swapped->report.left_mapped_because.find(words), std::string::npos)
        << swapped->report.left_mapped_because;
    EXPECT_EQ(zoo.zombies(), 1) << animal;
  }
}

TEST(Zoo, RefusesACallThatTheManifestDoesNotRequire) {
  ZooNode zoo("good");

  const auto reply = zoo.call("Forbidden");

  EXPECT_EQ(reply.error().code, Code::permission_denied);
  EXPECT_NE(reply.error().message.find("flynn.secret/1"), std::string::npos) << reply.error().message;
}

TEST(Zoo, LivesWithAnswersThatAreNone) {
  ZooNode silent("no_answer"), closed("closed_fd");

  EXPECT_TRUE(silent.call("Version").ok());
  EXPECT_TRUE(closed.call("Version").ok());
  EXPECT_EQ(closed.version(), "1.0.0");
}

TEST(Zoo, SaysThatNobodyProvidesAnInterface) {
  ZooNode zoo("good");

  const auto reply = zoo.call("Version", "zoo.unicorn/1");

  EXPECT_EQ(reply.error().code, Code::unavailable);
  EXPECT_NE(reply.error().message.find("zoo.unicorn/1"), std::string::npos);
}

TEST(Zoo, NestsCallsDeeperThanTheHazardPointersGo) {
  ZooNode zoo("needs_itself");
  EXPECT_NE(zoo.state(), "up") << "nobody else provides what it requires";
}

}  // namespace
}  // namespace flynn::core
