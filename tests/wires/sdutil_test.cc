// sdutil, run as a user runs it, against the real discovery.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "../e2e/program.h"
#include "http_client.h"
#include "wire_node.h"

namespace flynn::wires {
namespace {

using namespace std::chrono_literals;
using e2e::Args;

class Sdutil : public testing::Test {
 protected:
  Sdutil() {
    std::string pattern = "/tmp/flynn-sdutil.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    options_.env = {{"DISCOVERD", "http://127.0.0.1:" + std::to_string(node_.discovery_port())}};
    options_.timeout = 20s;
  }
  ~Sdutil() override { std::filesystem::remove_all(folder_); }

  e2e::Outcome sdutil(Args args) { return e2e::run(command(std::move(args)), options_); }
  e2e::Background background(Args args) {
    return e2e::Background::start(command(std::move(args)), options_, folder_ + "/log");
  }
  std::string addresses(const std::string& service) {
    const auto document = ask(node_.discovery_port(), "GET", "/services/" + service + "/instances").document();
    std::string text;
    if (document.is_array())
      for (const auto& one : document.get_array()) text += string_or(one.as_object(), "addr") + " ";
    return text;
  }
  std::string read(const std::string& file) const {
    std::ifstream stream(folder_ + "/" + file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  WireNode node_;
  std::string folder_;
  e2e::RunOptions options_;

 private:
  static Args command(Args args) {
    args.insert(args.begin(), SDUTIL);
    return args;
  }
};

TEST_F(Sdutil, ChecksWhetherDiscoveryAnswers) {
  EXPECT_EQ(sdutil({"check"}).exit_code, 0);
  options_.env["DISCOVERD"] = "http://127.0.0.1:1";
  const auto away = sdutil({"check"});
  EXPECT_EQ(away.exit_code, 1);
  EXPECT_NE(away.out.find("127.0.0.1:1 does not answer"), std::string::npos) << away.out;
  const auto silent = sdutil({"check", "-s"});
  EXPECT_EQ(silent.exit_code, 1);
  EXPECT_EQ(silent.out, "");
}

TEST_F(Sdutil, RegistersUntilItIsToldToEnd) {
  auto registered = background({"register", "-h", "10.1.2.3", "web:8080"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("web") == "10.1.2.3:8080 "; })) << read("log");

  EXPECT_EQ(sdutil({"services", "web"}).out, "10.1.2.3:8080\n");
  registered.signal(SIGINT);
  EXPECT_TRUE(e2e::eventually(10s, [&] { return !registered.alive(); }));
  EXPECT_EQ(addresses("web"), "");
}

TEST_F(Sdutil, ListsAndSaysWhenThereIsNobody) {
  auto one = background({"register", "-h", "10.0.0.1", "web:1"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("web") == "10.0.0.1:1 "; }));
  auto two = background({"register", "-h", "10.0.0.2", "web:2"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("web") == "10.0.0.1:1 10.0.0.2:2 "; }));

  EXPECT_EQ(sdutil({"services", "-1", "web"}).out, "10.0.0.1:1\n");
  const auto nobody = sdutil({"services", "none"});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_NE(nobody.out.find("service none has no instance"), std::string::npos) << nobody.out;
}

TEST_F(Sdutil, ExecRegistersWhileTheCommandRunsAndGivesItsStatus) {
  auto running = background({"exec", "-h", "10.0.0.9", "-s", "web:80", "-s", "admin:81", "sh", "-c", "sleep 30"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("web") == "10.0.0.9:80 "; })) << read("log");
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("admin") == "10.0.0.9:81 "; }));
  running.signal(SIGTERM);
  EXPECT_TRUE(e2e::eventually(10s, [&] { return !running.alive(); }));
  EXPECT_EQ(addresses("web") + addresses("admin"), "");

  EXPECT_EQ(sdutil({"exec", "-s", "web:80", "sh", "-c", "exit 7"}).exit_code, 7);
  EXPECT_EQ(sdutil({"exec", "echo", "two words"}).out, "two words\n") << "the original drops the second of two";
  EXPECT_EQ(sdutil({"exec", "-s", "web:80", "/no/such/program"}).exit_code, 127);
  EXPECT_EQ(addresses("web"), "");
}

TEST_F(Sdutil, ExposeRunsTheCommandWhileThereIsALeader) {
  const std::string script = "echo \"$POSTGRES $CACHE_ADDR\" >> " + folder_ + "/runs; exec sleep 60";
  auto exposed = background({"expose", "-d", "postgres", "-d", "CACHE_ADDR:cache", "sh", "-c", script});
  auto postgres = background({"register", "-h", "10.0.0.1", "postgres:5432"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return !addresses("postgres").empty(); }));
  EXPECT_EQ(read("runs"), "") << "one of two is not enough";
  auto cache = background({"register", "-h", "10.0.0.2", "cache:6379"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return read("runs") == "10.0.0.1:5432 10.0.0.2:6379\n"; })) << read("log");

  // Another leader is no reason to stop; none is.
  auto second = background({"register", "-h", "10.0.0.3", "cache:6379"});
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("cache") == "10.0.0.2:6379 10.0.0.3:6379 "; }));
  cache.signal(SIGTERM);
  ASSERT_TRUE(e2e::eventually(10s, [&] { return addresses("cache") == "10.0.0.3:6379 "; }));
  second.signal(SIGTERM);
  ASSERT_TRUE(e2e::eventually(10s, [&] { return read("log").find("cache has no leader") != std::string::npos; }));
  auto third = background({"register", "-h", "10.0.0.4", "cache:6379"});
  ASSERT_TRUE(e2e::eventually(10s, [&] {
    return read("runs") == "10.0.0.1:5432 10.0.0.2:6379\n10.0.0.1:5432 10.0.0.4:6379\n";
  })) << read("runs");
}

TEST_F(Sdutil, SaysWhatIsWrongWithACommandLine) {
  EXPECT_EQ(sdutil({"register", "-h", "1.2.3.4", "-i", "lo", "web:1"}).exit_code, 1);
  EXPECT_EQ(sdutil({"register", "-i", "nosuch0", "web:1"}).exit_code, 65);
  EXPECT_EQ(sdutil({"register", "web"}).exit_code, 1);
  EXPECT_EQ(sdutil({"register", "-h", "not an address", "web:1"}).exit_code, 1);
  EXPECT_EQ(sdutil({"nonsense"}).exit_code, 1);
}

}  // namespace
}  // namespace flynn::wires
