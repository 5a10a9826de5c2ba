#include "active_job.h"

#include <gtest/gtest.h>

#include "wire_job.h"

namespace flynn::host {
namespace {

constexpr char kUuid[] = "0f6e3d2c-1b2a-4c3d-8e4f-5a6b7c8d9e0f";
const std::string kLayer(64, 'a');

JobUnit given_job(Phase phase) {
  JobUnit unit;
  unit.spec.id = kUuid;
  unit.spec.app_id = "app";
  unit.spec.args = {"run", "me"};
  unit.spec.layers = {{kLayer, 7}};
  unit.phase = phase;
  return unit;
}

TEST(ActiveJob, SaysHowAJobEndedByTheIntegersOfTheWire) {
  auto unit = given_job(Phase::down);
  EXPECT_EQ(wire_status(unit), WireStatus::done) << "stopped before it started";
  unit.error = "no such layer";
  EXPECT_EQ(wire_status(unit), WireStatus::failed);
  unit.started_at = "2026-01-01T00:00:00Z";
  EXPECT_EQ(wire_status(unit), WireStatus::crashed) << "lost after it had started";
  unit.exit_status = 0;
  EXPECT_EQ(wire_status(unit), WireStatus::done);
  unit.exit_status = 137;
  EXPECT_EQ(wire_status(unit), WireStatus::crashed);
  EXPECT_EQ(wire_status(given_job(Phase::created)), WireStatus::starting);
  EXPECT_EQ(wire_status(given_job(Phase::stopping)), WireStatus::running);
}

TEST(ActiveJob, HasTimesThatGoReadsAndNoExitStatusBeforeTheEnd) {
  const auto job = active_job(given_job(Phase::up), "node1", 42);

  EXPECT_EQ(job.at("ended_at"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(job.at("status"), 1);
  EXPECT_EQ(job.at("pid"), 42);
  EXPECT_FALSE(job.contains("exit_status"));
  EXPECT_FALSE(job.contains("error"));
  EXPECT_EQ(job.at("job").at("id").as_string(), "node1-" + std::string(kUuid));
}

TEST(ActiveJob, IdComesWithOrWithoutTheHostAndNeverAsAPath) {
  EXPECT_EQ(*job_id_of_wire("node1", "node1-" + std::string(kUuid)), kUuid);
  EXPECT_EQ(*job_id_of_wire("node1", kUuid), kUuid);
  for (const char* bad : {"", "node1-", "../x", "node1-../x", "a/b"})
    EXPECT_EQ(job_id_of_wire("node1", bad).error().code, Code::invalid_argument) << bad;
}

TEST(ActiveJob, ReadAsAJobOfTheWireGivesItsSpecAgain) {
  auto unit = given_job(Phase::up);
  unit.spec.env = {{"A", "b"}};
  unit.spec.cwd = "/app";
  unit.spec.resources.memory_bytes = 1 << 20;
  unit.spec.volumes = {{"data", "/data", true}};
  unit.spec.ports = {{8080, "web", ServiceCheck{CheckType::http, "/up", milliseconds(500), 3, milliseconds(9000)}}};
  unit.spec.meta = {{"mine", "too"}};

  const auto spec = job_spec_of_wire(active_job(unit, "node1", 1).at("job").as_object(), "node1", kUuid);

  ASSERT_TRUE(spec) << spec.error().message;
  const auto again = parse_job_spec(*spec);
  ASSERT_TRUE(again) << again.error().message;
  auto twice = unit;
  twice.spec = *again;
  EXPECT_EQ(active_job(twice, "node1", 1), active_job(unit, "node1", 1));
  EXPECT_EQ(again->meta, unit.spec.meta) << "what the wire adds is not kept as the job's own";
}

TEST(WireJob, WithPrivilegesIsRefusedByName) {
  for (const char* config : {R"({"host_network":true})", R"({"linux_capabilities":["CAP_SYS_ADMIN"]})",
                             R"({"writeable_cgroups":true})", R"({"mounts":[{"location":"/etc","target":"/etc"}]})",
                             R"({"host_pid_namespace":true})", R"({"allowed_devices":[{"path":"/dev/kvm"}]})"}) {
    auto job = active_job(given_job(Phase::up), "node1", 1).at("job").as_object();
    job["config"] = parse_json_object(config).value();

    const auto spec = job_spec_of_wire(job, "node1", kUuid);

    ASSERT_FALSE(spec) << config;
    EXPECT_EQ(spec.error().code, Code::unimplemented) << config;
    EXPECT_TRUE(spec.error().message.starts_with("config.")) << spec.error().message;
  }
}

TEST(WireJob, WithoutLayersOrAppOrUuidIsInvalid) {
  auto job = active_job(given_job(Phase::up), "node1", 1).at("job").as_object();
  EXPECT_EQ(job_spec_of_wire(job, "node1", "web").error().code, Code::invalid_argument);
  auto no_layers = job;
  no_layers.erase("mountspecs");
  EXPECT_EQ(job_spec_of_wire(no_layers, "node1", kUuid).error().message, "mountspecs must name at least one layer");
  auto no_app = job;
  no_app.erase("metadata");
  EXPECT_EQ(job_spec_of_wire(no_app, "node1", kUuid).error().code, Code::invalid_argument);
  auto foreign = job;
  foreign["config"].as_object()["volumes"] = json::array{json::object{{"volume", "other.data"}, {"target", "/data"}}};
  EXPECT_EQ(job_spec_of_wire(foreign, "node1", kUuid).error().code, Code::invalid_argument);
}

TEST(JobSpec, HasAsManyLayersAsOneOverlayTakesAndNoMore) {
  auto spec = parse_json_object(R"({"id":"web","app_id":"app","args":["run"]})").value();
  json::array layers(kLayersMax, json::object{{"id", std::string(64, 'a')}});
  spec["layers"] = layers;
  const auto most = parse_job_spec(spec);
  layers.push_back(layers.front());
  spec["layers"] = layers;

  const auto more = parse_job_spec(spec);

  ASSERT_TRUE(most) << most.error().message;
  EXPECT_EQ(most->layers.size(), kLayersMax);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "job spec: layers has more than 160 entries");
}

}  // namespace
}  // namespace flynn::host
