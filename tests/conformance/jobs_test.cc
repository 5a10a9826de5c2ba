// Jobs as the original client runs, attaches, lists and ends them, and their log.
#include <algorithm>

#include "wire.h"

namespace flynn::e2e {
namespace {

class Jobs : public ConformanceTest {
 protected:
  static json::object new_job(const std::string& app, json::array args) {
    return {{"release", string_or(release_of(app), "id")},
            {"release_env", true},
            {"args", std::move(args)},
            {"disable_log", true},
            {"cmd", {"ignored"}},
            {"entrypoint", {"ignored"}}};
  }
  static json::object shell_job(const std::string& app, const std::string& line) {
    return new_job(app, {"sh", "-c", line});
  }
};

TEST_F(Jobs, AnAttachedJobHasItsStreamsAndItsExitCode) {
  const std::string app = given_pushed_app();
  Attached job(port(), key(), app, shell_job(app, "cat; echo oops >&2; exit 7"));
  ASSERT_EQ(job.status(), 101) << job.refusal();
  job.send_stdin("line\n");
  job.end_stdin();

  EXPECT_EQ(job.wait(), 7) << job.error;
  EXPECT_EQ(job.out, "line\n");
  EXPECT_EQ(job.err, "oops\n");
}

TEST_F(Jobs, OutputIsExactToTheByteAndNothingEarlyIsLost) {
  const std::string app = given_pushed_app();
  Attached job(port(), key(), app, shell_job(app, "head -c 3000000 /dev/zero; printf '\\000\\377end'"));
  job.end_stdin();

  EXPECT_EQ(job.wait(), 0) << job.error;
  EXPECT_EQ(job.out, std::string(3'000'000, '\0') + std::string("\0\377end", 5));
}

TEST_F(Jobs, AJobThatASignalEndedSaysWhich) {
  const std::string app = given_pushed_app();
  Attached job(port(), key(), app, shell_job(app, "echo ready; while true; do sleep 1; done"));
  ASSERT_TRUE(job.read_until("ready\n")) << job.error;

  job.send_signal(9);

  EXPECT_EQ(job.wait(), 128 + 9) << job.error;
}

TEST_F(Jobs, ATerminalHasOneStreamAndItsSize) {
  const std::string app = given_pushed_app();
  auto body = shell_job(app, "stty size; echo to-stderr >&2");
  body["tty"] = true;
  body["tty_columns"] = 123;
  body["tty_lines"] = 45;
  Attached job(port(), key(), app, body);

  EXPECT_EQ(job.wait(), 0) << job.error;
  EXPECT_NE(job.out.find("45 123"), std::string::npos) << job.out;
  EXPECT_NE(job.out.find("to-stderr"), std::string::npos) << job.out;
  EXPECT_EQ(job.err, "");
}

TEST_F(Jobs, TheEnvironmentIsTheOnesOfTheReleaseThenTheRequest) {
  const std::string app = given_pushed_app();
  auto body = shell_job(app, "echo \"$FLYNN_APP_ID|$FLYNN_RELEASE_ID|$FLYNN_PROCESS_TYPE|$MINE\"");
  body["env"] = json::object{{"MINE", "yes"}};
  Attached job(port(), key(), app, body);

  EXPECT_EQ(job.wait(), 0) << job.error;
  const std::string app_id = string_or(object("GET", "/apps/" + app), "id");
  EXPECT_EQ(job.out, app_id + "|" + string_or(release_of(app), "id") + "||yes\n");
}

TEST_F(Jobs, ADetachedJobIsListedKilledAndOnceOnly) {
  const std::string app = given_pushed_app();
  auto stream = events("app_id=" + app + "&object_types=job");
  const auto job = object("POST", "/apps/" + app + "/jobs", shell_job(app, "while true; do sleep 1; done"));
  const std::string uuid = string_or(job, "uuid");
  ASSERT_NE(uuid, "");
  EXPECT_TRUE(string_or(job, "id").ends_with("-" + uuid)) << json::serialize(job);
  const auto is_job_in = [&](const char* state) {
    return [&, state](const json::object& event) {
      const auto* data = find_object(event, "data");
      return data != nullptr && string_or(*data, "uuid") == uuid && string_or(*data, "state") == state;
    };
  };
  stream.next({"job"}, is_job_in("up"));

  const auto jobs = list("/apps/" + app + "/jobs");
  ASSERT_FALSE(jobs.empty());
  EXPECT_EQ(string_or(jobs[0].as_object(), "uuid"), uuid) << "the newest first";
  EXPECT_EQ(string_or(object("GET", "/apps/" + app + "/jobs/" + uuid), "state"), "up");
  EXPECT_EQ(ask("DELETE", "/apps/" + app + "/jobs/" + string_or(job, "id")).status, 200);
  stream.next({"job"}, is_job_in("down"));

  const auto again = ask("DELETE", "/apps/" + app + "/jobs/" + uuid);
  EXPECT_EQ(again.status, 400) << again.body;
  EXPECT_NE(again.body.find("already ended"), std::string::npos) << again.body;
  EXPECT_EQ(ask("DELETE", "/apps/" + app + "/jobs/11111111-1111-1111-1111-111111111111").status, 404);
}

TEST_F(Jobs, WhatCannotRunIsRefusedBeforeTheUpgrade) {
  const std::string app = given_pushed_app();
  auto body = shell_job(app, "true");
  body["release"] = "11111111-1111-1111-1111-111111111111";
  Attached job(port(), key(), app, body);

  EXPECT_EQ(job.status(), 400) << job.refusal();
  object("POST", "/apps", json::object{{"name", "empty"}});
  const auto release = object("POST", "/releases", json::object{{"app_id", "empty"}, {"env", {{"A", "1"}}}});
  const auto bare = ask("POST", "/apps/empty/jobs", json::object{{"release", string_or(release, "id")}});
  EXPECT_EQ(bare.status, 400) << bare.body;
}

TEST_F(Jobs, TheLogIsOneMessageALineAndFiltered) {
  const std::string app = given_pushed_app();
  auto body = shell_job(app, "echo one; echo two >&2; echo three");
  body["disable_log"] = false;
  auto stream = events("app_id=" + app + "&object_types=job");
  const std::string uuid = string_or(object("POST", "/apps/" + app + "/jobs", body), "uuid");
  stream.next({"job"}, [&](const json::object& event) {
    const auto* data = find_object(event, "data");
    return data != nullptr && string_or(*data, "uuid") == uuid && string_or(*data, "state") == "down";
  });
  Answer log;
  const auto lines_of = [](const Answer& answer) { return std::count(answer.body.begin(), answer.body.end(), '\n'); };
  ASSERT_TRUE(eventually(20s, [&] {
    log = ask("GET", "/apps/" + app + "/log?stream_types=stdout,stderr&job_id=" + uuid);
    return lines_of(log) == 3;
  })) << log.body;
  const auto first = parse_json_object(log.body.substr(0, log.body.find('\n')));
  ASSERT_TRUE(first.ok()) << log.body;
  for (const char* member : {"host_id", "job_id", "msg", "process_type", "source", "stream", "timestamp"})
    EXPECT_TRUE(first->contains(member)) << member << " of " << log.body;

  EXPECT_EQ(lines_of(ask("GET", "/apps/" + app + "/log?stream_types=stderr&job_id=" + uuid)), 1);
  EXPECT_EQ(lines_of(ask("GET", "/apps/" + app + "/log?lines=2&job_id=" + uuid)), 2);
  EXPECT_EQ(ask("GET", "/apps/" + app + "/log?lines=10001").status, 400);
  EXPECT_EQ(ask("GET", "/apps/none/log").status, 404);
}

}  // namespace
}  // namespace flynn::e2e
