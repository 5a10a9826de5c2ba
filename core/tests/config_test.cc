#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "config_schema.h"
#include "listeners.h"
#include "node_config.h"

namespace flynn::core {
namespace {

Result<NodeConfig> read(const std::string& text) {
  const std::string file = testing::TempDir() + "flynn-" + std::to_string(::getpid()) + ".toml";
  std::ofstream(file) << text;
  auto config = load_node_config(file);
  ::unlink(file.c_str());
  return config;
}

TEST(NodeConfig, ReadsSlotsInTheOrderOfTheFile) {
  const auto config =
      read("[plugins.zebra]\npath = \"/z.so\"\n[plugins.ant]\npath = \"a.so\"\n[plugins.ant.config]\nsize = 3\n");

  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->plugins.at(0).slot, "zebra");
  EXPECT_EQ(config->plugins.at(1).config_json, R"({"size":3})");
}

TEST(NodeConfig, ReadsTheLimitsOfTheGate) {
  const auto config = read("[core]\ncanary_ms = 5000\n[core.gate]\nthreads_max = 3\n");

  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->core.canary_for, std::chrono::seconds(5));
  EXPECT_EQ(config->core.gate.threads_max, 3);
  EXPECT_EQ(config->core.gate.descriptors_max, 200);
}

TEST(NodeConfig, NamesTheLineAndKeyOfWhatIsWrong) {
  const std::map<std::string, std::string> answers{
      {"[node]\nnam = \"x\"\n", "node.nam"},
      {"[plugins.a]\n", "plugins.a.path is missing"},
      {"[plugins.\"a/b\"]\npath = \"x\"\n", "a slot is a letter"},
      {"[listeners]\nx = \"80\"\n", "ADDRESS:PORT"},
      {"[listeners]\nx = \"0.0.0.0:3500-3000\"\n",
       "line 2: listeners.x \"0.0.0.0:3500-3000\" is no ADDRESS:FIRST-LAST"},
      {"[listeners]\nx = \"0.0.0.0:3500-3000\"\n", "above the last"},
      {"[listeners]\nx = \"0.0.0.0:0-80\"\n", "from 1 to 65535"},
      {"[listeners]\nx = \"0.0.0.0:080-90\"\n", "leading zeros"},
      {"[listeners]\nx = \"0.0.0.0:3000-\"\n", "from 1 to 65535"},
      {"[listeners]\nx = \"0.0.0.0:-3000\"\n", "from 1 to 65535"},
      {"[listeners]\nx = \"0.0.0.0:3000-3001-3002\"\n", "from 1 to 65535"},
      {"[listeners]\nx = \"0.0.0.0:65000-65536\"\n", "from 1 to 65535"},
      {"[listeners]\nx = \"0.0.0.0:3000-4024\"\n", "1025 ports, at most 1024"},
      {"[listeners]\nx = \"localhost:3000-3001\"\n", "must be numeric"},
      {"[listeners]\nx = \":3000-3001\"\n", "must be numeric"},
      {"[listeners]\n\"a:b\" = \"0.0.0.0:3000-3001\"\n", "the name of a range"},
      {"[listeners]\na = \"0.0.0.0:3000-3500\"\nb = \"0.0.0.0:4000-4999\"\n", "at most 1024"},
      {"[node\n", "line 1"},
      {"[log]\nlevel = \"loud\"\n", "log.level"},
      {"[core]\ndrain_ms = -1\n", "core.drain_ms"},
      {"[core.gate]\nthreads = 1\n", "core.gate.threads"},
      {"[core]\ngate = 1\n", "core.gate must be a table"},
      {"[node]\nname = \"../x\"\n", "no plain name"},
  };
  for (const auto& [text, words] : answers) {
    const auto config = read(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_NE(config.error().message.find(words), std::string::npos) << config.error().message;
  }
}

TEST(NodeConfig, TakesRangesOfPortsUpToTheLimit) {
  for (const char* address : {"0.0.0.0:3000-3500", "[::]:3000-3000", "127.0.0.1:1-1024", "10.0.0.1:65535-65535"}) {
    const auto config = read("[listeners]\n\"router.tcp\" = \"" + std::string(address) + "\"\n");
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->listeners.at("router.tcp"), address);
  }
}

TEST(ConfigSchema, FillsInDefaultsAndNamesTheKeyAtFault) {
  const std::string schema =
      R"({"type":"object","properties":{"port":{"type":"integer","minimum":1,"default":80},"name":{"type":"string"}},"required":["name"],"additionalProperties":false})";

  EXPECT_EQ(*apply_config_schema(schema, R"({"name":"x"})"), R"({"name":"x","port":80})");
  EXPECT_NE(apply_config_schema(schema, R"({"name":"x","port":0})").error().message.find("port"), std::string::npos);
  EXPECT_NE(apply_config_schema(schema, "{}").error().message.find("name"), std::string::npos);
  EXPECT_FALSE(apply_config_schema(schema, "[]").ok());
}

TEST(Listeners, NameTheHolderOfAPortThatIsInUse) {
  auto first = Listeners::open({{"one", "127.0.0.1:0"}});
  ASSERT_TRUE(first.ok());
  auto lent = first->lend("one");
  ASSERT_TRUE(lent.ok());
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(lent->get(), reinterpret_cast<sockaddr*>(&address), &size);
  const auto port = std::to_string(ntohs(address.sin_port));

  const auto second = Listeners::open({{"two", "127.0.0.1:" + port}});

  EXPECT_NE(second.error().message.find(port), std::string::npos);
  EXPECT_NE(second.error().message.find("core_tests"), std::string::npos) << second.error().message;
  EXPECT_EQ(first->lend("nothing").error().code, Code::not_found);
}

}  // namespace
}  // namespace flynn::core
