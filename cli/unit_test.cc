// The parts of the client that are functions of their input.
#include <gtest/gtest.h>

#include <sstream>

#include "clock_text.h"
#include "command.h"
#include "dial.h"
#include "documents.h"
#include "frames.h"
#include "git_repository.h"
#include "help.h"
#include "names.h"
#include "rcfile.h"
#include "release_update.h"
#include "sizes.h"
#include "sse.h"
#include "table.h"

namespace flynn::cli {
namespace {

Cluster given_cluster(const std::string& name) {
  return {name, "k\"ey\\", "pin=", "https://controller." + name, "https://git." + name, "", "", ""};
}

TEST(RcFile, SurvivesBeingWrittenAndRead) {
  RcFile rc{"b", {given_cluster("a"), given_cluster("b")}};

  const auto read = parse_rc(format_rc(rc));

  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->default_name, "b");
  ASSERT_EQ(read->clusters.size(), 2U);
  EXPECT_EQ(read->clusters[0].key, "k\"ey\\");
  EXPECT_EQ(read->clusters[0].tls_pin, "pin=");
  EXPECT_EQ(read->default_cluster()->controller_url, "https://controller.b");
}

TEST(RcFile, ReadsWhatFlynnsOwnClientWrote) {
  const auto read = parse_rc(
      "default = \"prod\"\n\n[[cluster]]\n  Name = \"prod\"\n  Key = \"e09d\"\n  TLSPin = \"KGCE=\"\n"
      "  ControllerURL = \"https://controller.example.com\"\n  Unknown = 3\n");

  ASSERT_TRUE(read);
  EXPECT_EQ(read->find("prod")->key, "e09d");
}

TEST(RcFile, SaysWhereItIsBroken) {
  const auto read = parse_rc("default = \"prod\"\n[[cluster\n");

  ASSERT_FALSE(read);
  EXPECT_NE(read.error().what.find("line 2"), std::string::npos) << read.error().what;
}

TEST(RcFile, RefusesAConflictUnlessForced) {
  RcFile rc{"a", {given_cluster("a"), given_cluster("b")}};
  Cluster same_name = given_cluster("c");
  same_name.name = "a";
  Cluster both = same_name;
  both.controller_url = "https://controller.b";

  EXPECT_FALSE(add_cluster(rc, same_name, false));
  EXPECT_FALSE(add_cluster(rc, both, true));
  EXPECT_TRUE(add_cluster(rc, same_name, true));
  EXPECT_EQ(rc.clusters.size(), 2U);
  EXPECT_EQ(rc.find("a")->controller_url, "https://controller.c");
}

TEST(RcFile, PassesTheDefaultOnWhenItIsRemoved) {
  RcFile rc{"b", {given_cluster("a"), given_cluster("b")}};

  EXPECT_TRUE(rc.remove("b"));
  EXPECT_EQ(rc.default_name, "a");
  EXPECT_FALSE(rc.remove("b"));
}

TEST(CommandLine, TakesTheLongestNameAndItsOptionsAnywhere) {
  const auto parsed =
      parse_command_line(command_table(), {"-a", "web", "route", "add", "http", "x.org/p", "--sticky", "-s", "svc"});

  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->command->name, "route add http");
  EXPECT_EQ(parsed->globals.value("app"), "web");
  EXPECT_EQ(parsed->arguments.value("service"), "svc");
  EXPECT_TRUE(parsed->arguments.has("sticky"));
  EXPECT_EQ(parsed->arguments.at(0), "x.org/p");
}

TEST(CommandLine, TakesTheAppAlsoBehindTheCommand) {
  for (const auto& line : {std::vector<std::string>{"info", "-a", "web"},
                           {"scale", "web=2", "--app", "web"},
                           {"run", "-a", "web", "ls", "-a"}}) {
    const auto parsed = parse_command_line(command_table(), line);

    ASSERT_TRUE(parsed) << parsed.error().what;
    EXPECT_EQ(parsed->globals.value("app"), "web") << line.front();
    EXPECT_FALSE(parsed->arguments.has("app")) << line.front();
  }
}

TEST(CommandLine, LeavesTheOptionsOfARunCommandAlone) {
  for (const auto& line :
       {std::vector<std::string>{"run", "-l", "ls", "-d", "--help"}, {"run", "-l", "--", "ls", "-d", "--help"}}) {
    const auto parsed = parse_command_line(command_table(), line);

    ASSERT_TRUE(parsed) << parsed.error().what;
    EXPECT_TRUE(parsed->arguments.has("enable-log"));
    EXPECT_FALSE(parsed->arguments.has("detached"));
    EXPECT_EQ(parsed->arguments.values, (std::vector<std::string>{"ls", "-d", "--help"}));
  }
}

TEST(CommandLine, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(parse_command_line(command_table(), {"ps", "-x"}).error().what, "flynn ps: unknown option -x");
  EXPECT_EQ(parse_command_line(command_table(), {"ps", "--frob"}).error().what, "flynn ps: unknown option --frob");
  EXPECT_EQ(parse_command_line(command_table(), {"log", "-n"}).error().what, "flynn log: option -n needs a value");
  EXPECT_FALSE(parse_command_line(command_table(), {"kill"}));
  EXPECT_FALSE(parse_command_line(command_table(), {"apps", "too", "many"}));
  EXPECT_EQ(parse_command_line(command_table(), {"frob"})->command, nullptr);
}

TEST(CommandTable, HasNamesOnceAndASummaryForEach) {
  std::map<std::string_view, int> names;
  for (const Command& command : command_table()) {
    EXPECT_EQ(++names[command.name], 1) << command.name;
    EXPECT_FALSE(command.summary.empty()) << command.name;
    EXPECT_NE(command.run, nullptr) << command.name;
    std::map<std::string_view, int> options;
    for (const Option& option : command.options) {
      EXPECT_EQ(++options[option.name], 1) << command.name << " --" << option.name;
      if (option.letter != 0) {
        EXPECT_EQ(++options[std::string_view(&option.letter, 1)], 1) << command.name << " -" << option.letter;
      }
    }
  }
}

TEST(Help, ShowsACommandWithAllBelowIt) {
  std::ostringstream out;
  const std::vector<std::string> words{"env"};

  EXPECT_TRUE(print_help(out, command_table(), words));

  EXPECT_NE(out.str().find("usage: flynn env set [options] <key>=<value>..."), std::string::npos) << out.str();
  EXPECT_FALSE(print_help(out, command_table(), std::vector<std::string>{"en"}));
}

TEST(Frames, ArriveWholeHoweverTheyAreCut) {
  const std::string wire = encode_data(Stream::kStdout, std::string("a\0b", 3)) + encode_data(Stream::kStderr, "") +
                           encode_resize(24, 300) + encode_error("bad") + encode_exit(143);
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < wire.size(); at += step) {
      reader.feed(std::string_view(wire).substr(at, step));
      for (auto frame = reader.next(); frame && frame->has_value(); frame = reader.next()) frames.push_back(**frame);
    }
    ASSERT_EQ(frames.size(), 5U) << "in steps of " << step;
    EXPECT_EQ(frames[0].payload, std::string("a\0b", 3));
    EXPECT_EQ(frames[1].stream, 2);
    EXPECT_EQ(frames[2].rows, 24);
    EXPECT_EQ(frames[2].columns, 300);
    EXPECT_EQ(frames[3].payload, "bad");
    EXPECT_EQ(frames[4].number, 143U);
  }
}

TEST(Frames, RefuseATypeThatTheyDoNotKnow) {
  FrameReader reader;
  reader.feed("\x09zzzz");
  EXPECT_FALSE(reader.next());
}

TEST(Frames, RefuseALengthThatCannotBe) {
  FrameReader reader;
  reader.feed(std::string("\x03\x01\xff\xff\xff\xff", 6));
  EXPECT_FALSE(reader.next());
}

TEST(SseReader, YieldsDataAtBlankLinesAndSkipsKeepAlives) {
  SseReader reader;
  EXPECT_FALSE(reader.push_line(":"));
  EXPECT_FALSE(reader.push_line(""));
  EXPECT_FALSE(reader.push_line("data: {\"a\":"));
  EXPECT_FALSE(reader.push_line(":"));
  EXPECT_FALSE(reader.push_line("data: 1}\r"));
  EXPECT_EQ(reader.push_line("").value().data, "{\"a\":1}");
  EXPECT_FALSE(reader.push_line("event: error"));
  EXPECT_FALSE(reader.push_line("data: gone"));
  EXPECT_EQ(reader.push_line("").value().event, "error");
}

TEST(Table, AlignsColumnsAndLeavesNoTrailingBlanks) {
  Table table({"ID", "NAME", ""});
  table.add({"1", "größe", "(default)"});
  table.add({"200", "x"});
  std::ostringstream out;

  table.print(out);

  EXPECT_EQ(out.str(), "ID   NAME\n1    größe  (default)\n200  x\n");
}

TEST(Names, OfAppsFollowTheRule) {
  for (const char* good : {"a", "web-1", "0", "b6a5cd1e-0000-4000-8000-000000000000"})
    EXPECT_TRUE(is_app_name(good)) << good;
  for (const char* bad : {"", "-a", "a-", "a--b", "A", "a_b", "a/b", "a.b"}) EXPECT_FALSE(is_app_name(bad)) << bad;
  EXPECT_TRUE(is_app_name(std::string(100, 'a')));
  EXPECT_FALSE(is_app_name(std::string(101, 'a')));
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
}

TEST(Times, ReadAndWriteAndAge) {
  const auto time = parse_time("2026-01-31T12:00:00.000123456Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(timestamp_text(*time), "2026-01-31T12:00:00.000123Z");
  EXPECT_EQ(parse_time("2026-01-31T13:00:00+01:00"), parse_time("2026-01-31T12:00:00Z"));
  EXPECT_FALSE(parse_time("yesterday"));
  using std::chrono::seconds;
  EXPECT_EQ(human_duration(seconds(0)), "Less than a second");
  EXPECT_EQ(human_duration(seconds(59)), "59 seconds");
  EXPECT_EQ(human_duration(seconds(119)), "About a minute");
  EXPECT_EQ(human_duration(seconds(4 * 60)), "4 minutes");
  EXPECT_EQ(human_duration(seconds(3700)), "About an hour");
  EXPECT_EQ(human_duration(seconds(86400 * 3)), "3 days");
  EXPECT_EQ(short_duration(std::chrono::milliseconds(850)), "850ms");
  EXPECT_EQ(short_duration(std::chrono::milliseconds(1234)), "1.2s");
}

TEST(Sizes, ReadAndWriteBinaryUnits) {
  EXPECT_EQ(*parse_limit("memory", "1GB"), 1LL << 30);
  EXPECT_EQ(*parse_limit("memory", "1.5GB"), 3LL << 29);
  EXPECT_EQ(*parse_limit("temp_disk", "100 MiB"), 100LL << 20);
  EXPECT_EQ(*parse_limit("cpu", "500"), 500);
  for (const char* bad : {"", "-1GB", "GB", "1XB", "nan"}) EXPECT_FALSE(parse_limit("memory", bad)) << bad;
  EXPECT_FALSE(parse_limit("cpu", "1GB"));
  EXPECT_FALSE(parse_limit("speed", "1"));
  EXPECT_EQ(format_limit("memory", 1LL << 30), "1GB");
  EXPECT_EQ(format_limit("temp_disk", 100LL << 20), "100MB");
  EXPECT_EQ(format_limit("memory", 3LL << 29), "1.5GB");
}

TEST(ReleaseUpdate, MergesEnvAndReplacesTheMembersOfProcesses) {
  const json::object release =
      json::parse(R"({"env":{"A":"1","B":"2"},"processes":{"web":{"args":["a"],"env":{"X":"1"}}}})").as_object();
  const json::object changes =
      json::parse(R"({"env":{"B":null,"C":"3"},"processes":{"web":{"args":["b"],"env":{"Y":"2"}}}})").as_object();

  const json::object merged = update_release(release, changes, false);

  EXPECT_EQ(merged.at("env"), json::parse(R"({"A":"1","C":"3"})"));
  EXPECT_EQ(merged.at("processes"), json::parse(R"({"web":{"args":["b"],"env":{"X":"1","Y":"2"}}})"));
  EXPECT_EQ(update_release(release, changes, true).at("env"), json::parse(R"({"C":"3"})"));
}

TEST(GitUrls, LeadToAnAppAndBack) {
  EXPECT_EQ(remote_url("ssh://git@127.0.0.1:2222", "web"), "ssh://git@127.0.0.1:2222/web.git");
  EXPECT_EQ(app_of_remote("ssh://git@127.0.0.1:2222", "ssh://git@127.0.0.1:2222/web.git"), "web");
  EXPECT_EQ(app_of_remote("https://git.x", "https://git.xy/web.git"), "");
  EXPECT_EQ(app_of_remote("https://git.x", "https://git.x/../etc.git"), "");
  EXPECT_EQ(app_of_remote("", "/web.git"), "");
}

TEST(Dial, KnowsNamesOfThisMachine) {
  EXPECT_TRUE(is_localhost_name("controller.flynn.localhost"));
  EXPECT_TRUE(is_localhost_name("localhost."));
  EXPECT_FALSE(is_localhost_name("notlocalhost"));
  EXPECT_FALSE(is_localhost_name("localhost.example.com"));
}

}  // namespace
}  // namespace flynn::cli
