#include "job_spec.h"

#include <gtest/gtest.h>

namespace flynn::scheduler {
namespace {

CellState cell_with_release() {
  CellState cell;
  cell.apps["a"] = parse_json_object(R"({"id":"a","name":"hello","release":"r"})").value();
  cell.releases["r"] =
      parse_json_object(
          R"({"id":"r","app_id":"a","artifacts":["base","slug"],"env":{"A":"release","B":"release","PORT_1":"9"},
    "processes":{"web":{"args":["/runner/init","start","web"],"env":{"B":"process"},
      "ports":[{"port":8080,"proto":"tcp","service":{"name":"hello-web","check":{"type":"http","path":"/up","interval":500000000,"start_timeout":20000000000,"threshold":2}}},{"port":0}],
      "resources":{"memory":{"request":null,"limit":268435456},"max_fd":{"limit":500}},
      "volumes":[{"path":"/data","delete_on_stop":true}]}}})")
          .value();
  cell.artifacts["base"] =
      parse_json_object(R"({"manifest":{"rootfs":[{"layers":[{"id":"l1","length":1},{"id":"l2","length":2}]}],
    "entrypoints":{"_default":{"args":["/bin/sh"],"env":{"E":"base","A":"base"},"uid":0,"cwd":"/"}}}})")
          .value();
  cell.artifacts["slug"] =
      parse_json_object(R"({"manifest":{"rootfs":[{"layers":[{"id":"l3","length":3,"hashes":{"x":"y"}}]}],
    "entrypoints":{"_default":{"env":{"E":"slug","HOME":"/app"},"uid":5000,"gid":5000,"cwd":"/app"}}}})")
          .value();
  return cell;
}

Result<json::object> spec_of(const char* request, const CellState& cell = cell_with_release()) {
  return make_job_spec(cell, parse_json_object(request).value(), "job-id", "2026-01-31T12:00:00.000Z");
}

TEST(JobSpec, OfAFormationHasEverythingTheReleaseSays) {
  const auto spec = spec_of(R"({"app_id":"a","release_id":"r","kind":"service","type":"web"})");

  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(to_text(spec->at("layers")), R"([{"id":"l1","length":1},{"id":"l2","length":2},{"id":"l3","length":3}])");
  EXPECT_EQ(to_text(spec->at("args")), R"(["/runner/init","start","web"])");
  EXPECT_EQ(
      to_text(spec->at("ports")),
      R"([{"port":8080,"proto":"tcp","service":{"name":"hello-web","check":{"type":"http","path":"/up","interval_ms":500,"threshold":2,"start_timeout_ms":20000}}},{"port":5001,"proto":"tcp"}])");
  EXPECT_EQ(to_text(spec->at("resources")),
            R"({"memory_bytes":268435456,"cpu_millis":1000,"pids_max":1024,"max_fd":500})");
  EXPECT_EQ(to_text(spec->at("volumes")), R"([{"name":"web-0","path":"/data","delete_on_stop":true}])");
  EXPECT_EQ(string_or(*spec, "cwd"), "/app");
  EXPECT_EQ(int_or(*spec, "uid"), 5000);
  EXPECT_TRUE(bool_or(*spec, "log"));
}

TEST(JobSpec, MergesEnvFromTheGeneralToTheParticular) {
  const auto spec = spec_of(R"({"app_id":"a","release_id":"r","kind":"service","type":"web","env":{"R":"request"}})");

  const auto& env = spec->at("env").as_object();
  const auto value = [&](const char* name) { return string_or(env, name, "absent"); };
  EXPECT_EQ(value("FLYNN_APP_ID"), "a");
  EXPECT_EQ(value("FLYNN_APP_NAME"), "hello");
  EXPECT_EQ(value("FLYNN_RELEASE_ID"), "r");
  EXPECT_EQ(value("FLYNN_PROCESS_TYPE"), "web");
  EXPECT_EQ(value("FLYNN_JOB_ID"), "job-id");
  EXPECT_EQ(value("PORT"), "8080");
  EXPECT_EQ(value("PORT_0"), "8080");
  EXPECT_EQ(value("PORT_1"), "9") << "the release's env is stronger";
  EXPECT_EQ(value("E"), "slug");
  EXPECT_EQ(value("A"), "release");
  EXPECT_EQ(value("B"), "process");
  EXPECT_EQ(value("R"), "request");
}

TEST(JobSpec, OfARunTakesTheAppsReleaseAndTheEntrypointsCommand) {
  const auto spec =
      spec_of(R"({"app_id":"a","release_env":false,"resources":{"memory_bytes":1048576},"tty":true,"meta":{"x":"y"}})");

  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(string_or(*spec, "release_id"), "r");
  EXPECT_EQ(string_or(*spec, "kind"), "one_off");
  EXPECT_EQ(to_text(spec->at("args")), R"(["/bin/sh"])");
  EXPECT_FALSE(spec->at("env").as_object().contains("B"));
  EXPECT_EQ(int_or(spec->at("resources").as_object(), "memory_bytes"), 1048576);
  EXPECT_TRUE(spec->at("ports").as_array().empty()) << "a one-off serves nobody";
  EXPECT_TRUE(bool_or(*spec, "tty"));
}

TEST(JobSpec, RunsGivenLayersWithoutARelease) {
  auto cell = cell_with_release();
  cell.apps["a"].erase("release");

  const auto spec =
      spec_of(R"({"app_id":"a","kind":"build","layers":[{"id":"x","length":1}],"args":["/build"],"uid":7})", cell);

  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(int_or(*spec, "uid"), 7);
  EXPECT_EQ(spec_of(R"({"app_id":"a","args":["x"]})", cell).error().code, Code::failed_precondition);
}

TEST(JobSpec, NamesWhatIsMissing) {
  EXPECT_EQ(spec_of(R"({})").error().code, Code::invalid_argument);
  EXPECT_EQ(spec_of(R"({"app_id":"b"})").error().code, Code::not_found);
  EXPECT_EQ(spec_of(R"({"app_id":"a","release_id":"q"})").error().code, Code::not_found);
  EXPECT_EQ(spec_of(R"({"app_id":"a","args":[1]})").error().code, Code::failed_precondition);
}

TEST(JobSpec, OfAnotherSchedulerIsCheckedAndCompleted) {
  json::object claim{
      {"id", "6f2a1c9e-3f5b-4d1e-9a3e-0a1b2c3d4e5f"}, {"app_id", "a"}, {"args", {"x"}}, {"layers", {{{"id", "l"}}}}};

  const auto spec = complete_job_spec(claim, "now");
  EXPECT_EQ(int_or(spec->at("resources").as_object(), "memory_bytes"), kMemoryBytesDefault);
  EXPECT_EQ(int_or(*spec, "uid"), kUidDefault);

  claim["id"] = "../../x";
  EXPECT_EQ(complete_job_spec(claim, "now").error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace flynn::scheduler
