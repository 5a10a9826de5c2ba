// A job that really runs, by the host's API alone.
#include <unistd.h>

#include <array>

#include "api_node_test.h"
#include "attach_frames.h"
#include "child_process.h"
#include "digest.h"
#include "job_record.h"
#include "mounts.h"

namespace flynn::host {
namespace {

// Nothing of another node on this machine is touched.
HostOptions own_options() {
  HostOptions options;
  const auto number = static_cast<unsigned>(::getpid());
  options.host_id = "hostapi" + std::to_string(number);
  options.bridge = "fh" + std::to_string(number);
  options.subnet = "10." + std::to_string(200 + number % 50) + "." + std::to_string(number / 50 % 256) + ".0/24";
  return options;
}

class HostApiContainer : public HostApiNode {
 protected:
  HostApiContainer() : HostApiNode(own_options()) {}
  ~HostApiContainer() override {
    const auto& options = machine_->options();
    agent_->quiesce();
    for (const auto& unit : agent_->units())  // of a test that failed
      if (unit.phase != Phase::down) (void)machine_->tear_down(unit.spec);
    (void)remove_bridge(options.bridge, table_name(options.host_id + options.bridge));
    machine_->cgroups().remove_base();
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "containers need root";
    for (const char* program : {"/usr/bin/mksquashfs", "/usr/bin/conmon"})
      if (!path_exists(program)) GTEST_SKIP() << "this machine has no " << program;
    const auto ready = machine_->set_up(log_);
    ASSERT_TRUE(ready) << ready.error().message;
    EXPECT_TRUE(machine_->is_set_up());
    HostApiNode::SetUp();
    door_->let_the_scheduler_lead();
    EXPECT_TRUE(StoreClient(*door_).put("apps/app", json::object{{"v", 1}, {"id", "app"}}).ok());
  }
  // A root file system with the program alone.
  std::string given_base() {
    const auto root = folder_ + "/root";
    EXPECT_TRUE(make_folders(root + "/bin", 0755).ok());
    std::filesystem::permissions(root, std::filesystem::perms(0755));
    std::filesystem::copy_file(FLYNN_TEST_JOB, root + "/bin/job");
    return given_layer(root);
  }
  // One with a file of its own and one that they all have.
  std::string given_small_layer(int number) {
    const auto root = folder_ + "/small" + std::to_string(number), text = std::to_string(number) + "\n";
    EXPECT_TRUE(make_folders(root, 0755).ok());
    EXPECT_TRUE(write_file(root + "/own" + std::to_string(number), text, 0644).ok());
    EXPECT_TRUE(write_file(root + "/common", text, 0644).ok());
    return given_layer(root);
  }
  // Of that folder, in this machine's cache of layers.
  std::string given_layer(const std::string& root) {
    const auto file = root + ".squashfs";
    auto packed = run_child({{"/usr/bin/mksquashfs", root, file, "-all-root", "-quiet", "-no-progress"}, {}, {}},
                            Deadline::after(60s));
    EXPECT_TRUE(packed && packed->status == 0) << (packed ? packed->output : packed.error().message);
    const auto bytes = read_file(file, 64u << 20).value_or("");
    const auto id = sha512_256_hex(bytes);
    EXPECT_TRUE(write_file(machine_->paths().layer_file(id), bytes).ok());
    return id;
  }
  bool is_recorded_as_withdrawn(const std::string& id) {
    StopSignal never;
    for (const auto deadline = Deadline::after(20s); !deadline.passed(); never.wait(20))
      if (const auto record = load_record(machine_->paths(), id); record && record->unit.withdrawn) return true;
    return false;
  }
  static json::object wire_job(const std::vector<std::string>& layers, json::array args) {
    json::array specs;
    for (const auto& id : layers) specs.push_back(json::object{{"type", "squashfs"}, {"id", id}});
    return {{"mountspecs", std::move(specs)},
            {"metadata", json::object{{"flynn-controller.app", "app"}}},
            {"config", json::object{{"args", std::move(args)}, {"working_dir", "/"}, {"stdin", true}}}};
  }
  std::unique_ptr<ApiClient> given_attached(const std::string& id) {
    auto client = std::make_unique<ApiClient>(port_);
    client->send(request_text("POST /attach", R"({"job_id":")" + id + R"(","flags":23})"));
    client->read_until(std::string("\r\n\r\n\1"));
    return client;
  }
  Answer put_until_led(const std::string& id, const json::object& job) {
    const auto deadline = Deadline::after(20s);
    StopSignal never;
    while (true) {
      auto answer = ask("PUT /host/jobs/" + id, json::serialize(job));
      if (answer.status == 200 || deadline.passed()) return answer;
      never.wait(50);
    }
  }
};

TEST_F(HostApiContainer, RunsAJobThatIsAttachedToWithdrawnAndStopped) {
  const auto& host = machine_->options().host_id;
  const auto id = new_uuid();
  const auto job = wire_job({given_base()}, {"/bin/job"});
  auto listener = given_listener("/host/jobs/" + id);
  const auto attached = given_attached(id);

  const auto put = put_until_led(id, job);
  ASSERT_EQ(put.status, 200) << put.body;
  attached->read_until(std::string("\1\0", 2) + data_frame(1, "hello\n"));
  attached->send(data_frame(0, "again\n"));
  attached->read_until(data_frame(1, "again\n"));
  listener->read_until(R"("event":"start")");

  const auto running = ask("GET /host/jobs/" + id).json();
  EXPECT_EQ(running.at("status"), 1);
  EXPECT_GT(running.at("pid").as_int64(), 1);
  EXPECT_FALSE(running.at("internal_ip").as_string().empty());
  EXPECT_EQ(ask("PUT /host/jobs/" + id + "/signal/28").status, 200) << "SIGWINCH, which it ignores";
  EXPECT_EQ(ask("PUT /host/jobs/" + id + "/discoverd-deregister").status, 200);
  EXPECT_TRUE(is_recorded_as_withdrawn(id)) << "the next instance must not announce it again";
  EXPECT_EQ(ask("DELETE /host/jobs/" + host + "-" + id).status, 200);
  const auto told = attached->read_until("");
  EXPECT_EQ(told.substr(told.size() - 5), exit_frame(143)) << "by SIGTERM";
  const auto events = listener->read_until(R"("event":"cleanup")");
  const auto begin = events.find(R"({"event":"stop")");
  const auto stopped = parse_json_object(events.substr(begin, events.find('\n', begin) - begin));
  ASSERT_TRUE(stopped) << events;
  const auto& ended = stopped->at("job");
  EXPECT_EQ(ended.at("status"), 3);
  EXPECT_EQ(ended.at("exit_status"), 143);
  EXPECT_EQ(ended.at("force_stop"), true);
}

TEST_F(HostApiContainer, MeasuresAJobAndSaysThatItRanOutOfMemory) {
  constexpr std::uint64_t kMemory = 32u << 20;
  const auto id = new_uuid();
  auto job = wire_job({given_base()}, {"/bin/job", "--greedy"});
  job["resources"] = json::object{{"memory", json::object{{"limit", kMemory}}}};
  auto listener = given_listener("/host/jobs/" + id);
  const auto attached = given_attached(id);
  const auto put = put_until_led(id, job);
  ASSERT_EQ(put.status, 200) << put.body;
  attached->read_until(data_frame(1, "hello\n"));

  const auto stats = machine_->cgroups().stats(id);
  EXPECT_EQ(stats.pids, 2u) << "our init and the program";
  EXPECT_GT(stats.cpu_ns, 0u);
  EXPECT_GT(stats.memory_bytes, 0u);
  EXPECT_LE(stats.memory_bytes, kMemory);

  attached->send(data_frame(0, "take\n"));
  const auto told = attached->read_until("");
  EXPECT_EQ(told.substr(told.size() - 5), exit_frame(137)) << "by SIGKILL";
  listener->read_until(R"("event":"cleanup")");
  const auto ended = ask("GET /host/jobs/" + id).json();
  EXPECT_NE(std::string(ended.at("error").as_string()).find("out of memory"), std::string::npos);
  EXPECT_EQ(machine_->cgroups().stats(id).pids, 0u) << "the group is gone";
}

TEST_F(HostApiContainer, RunsJobsOfAHundredAndTwentyEightLayersOverABase) {
  constexpr int kLayers = 128;
  std::vector<std::string> layers{given_base()};
  for (int number = 1; number <= kLayers; ++number) layers.push_back(given_small_layer(number));
  const auto distinct = layers.size();
  // Images have layers again that change nothing; the upper one counts.
  layers.insert(layers.begin() + 1, layers.back());
  const auto job = wire_job(layers, {"/bin/job", "/own1", "/own128", "/common"});
  const auto& paths = machine_->paths();
  auto listener = given_listener();

  const std::array ids{new_uuid(), new_uuid()};
  std::vector<std::unique_ptr<ApiClient>> clients;  // a job whose input ends, ends
  for (const auto& id : ids) {
    const auto& attached = clients.emplace_back(given_attached(id));
    const auto put = put_until_led(id, job);
    ASSERT_EQ(put.status, 200) << put.body;
    attached->read_until(std::string("\1\0", 2) + data_frame(1, "1\n128\n128\n"));

    EXPECT_EQ(mounts_below(paths.layer_mounts()).size(), distinct) << "mounted once for both";
    EXPECT_FALSE(path_exists(paths.job_short_names(id))) << "the short names are for the mount alone";
  }
  for (const auto& id : ids) {
    const auto stopped = ask("DELETE /host/jobs/" + id);
    EXPECT_EQ(stopped.status, 200) << stopped.body;
    listener->read_until(R"("event":"cleanup","job_id":")" + machine_->options().host_id + "-" + id);
  }
  EXPECT_TRUE(mounts_below(paths.layer_mounts()).empty());
  EXPECT_TRUE(list_folder(paths.layer_mounts()).empty());
}

TEST_F(HostApiContainer, ASwapAdoptsWhatRunsAndTellsOfWhatEndedMeanwhile) {
  const auto job = wire_job({given_base()}, {"/bin/job"});
  const auto ends = new_uuid(), runs = new_uuid();
  auto listener = given_listener();
  std::vector<std::unique_ptr<ApiClient>> clients;  // a job whose input ends, ends
  for (const auto& id : {ends, runs}) {
    clients.push_back(given_attached(id));
    const auto put = put_until_led(id, job);
    ASSERT_EQ(put.status, 200) << put.body;
    listener->read_until(R"({"event":"start","job_id":")" + machine_->options().host_id + "-" + id);
  }
  const auto next_machine = Machine::make(*door_, machine_->paths(), own_options()).value();
  ASSERT_TRUE(next_machine->set_up(log_).ok());
  HostAgent next(*door_, log_, *next_machine);
  next.prepare();
  const auto phase_in = [](const HostAgent& agent, const std::string& id) {
    const auto unit = agent.unit(id);
    return unit ? unit->phase : Phase::none;
  };
  const auto eventually = [](const std::function<bool()>& holds) {
    StopSignal never;
    for (const auto deadline = Deadline::after(20s); !deadline.passed(); never.wait(20))
      if (holds()) return true;
    return false;
  };

  agent_->quiesce();
  ASSERT_TRUE(machine_->signal(ends, 9).ok());
  ASSERT_TRUE(eventually([&] { return read_exit_status(machine_->paths(), ends).has_value(); }));
  ASSERT_TRUE(next.activate().ok());

  EXPECT_EQ(phase_in(next, runs), Phase::up) << "adopted when activate() returns";
  EXPECT_TRUE(eventually([&] { return phase_in(next, ends) == Phase::down; }));
  EXPECT_EQ(next.unit(ends)->exit_status, 137);
  EXPECT_EQ(phase_in(*agent_, ends), Phase::up) << "the old one has not looked";
  ASSERT_TRUE(machine_->signal(runs, 9).ok());
  EXPECT_TRUE(eventually([&] { return phase_in(next, runs) == Phase::down; })) << "it is watched";
  next.stop();
}

}  // namespace
}  // namespace flynn::host
