// Instances of the agent that follow each other on one machine, as in a swap.
#include "host_agent.h"

#include "api_node_test.h"
#include "job_record.h"

namespace flynn::host {
namespace {

class HostAgentSwap : public HostApiNode {
 protected:
  HostAgentSwap() {
    door_->let_layers_go();
    // A machine object of its own, as another image has one.
    next_machine_ = Machine::make(*door_, machine_->paths(), {}).value();
    next_ = std::make_unique<HostAgent>(*door_, log_, *next_machine_);
    next_->prepare();
  }
  // The document that the store has of the job's state; empty: none.
  std::string state_of(const std::string& id) {
    auto found = StoreClient(*door_).get(status_key("node1", id));
    if (!found || !*found || !(*found)->value.is_object()) return {};
    return string_or((*found)->value.get_object(), "state");
  }
  static bool eventually(const std::function<bool()>& holds) {
    StopSignal never;
    for (const auto deadline = Deadline::after(20s); !deadline.passed(); never.wait(5))
      if (holds()) return true;
    return false;
  }
  bool ends(const HostAgent& agent, const std::string& id) {
    return eventually([&] {
      const auto unit = agent.unit(id);
      return unit && unit->phase == Phase::down && state_of(id) == "down";
    });
  }
  void forget(const std::string& id) { EXPECT_TRUE(StoreClient(*door_).erase("jobs/spec/node1/" + id).ok()); }
  // What the store has of the machine; 0: nothing.
  std::int64_t announced_at() {
    auto found = StoreClient(*door_).get("hosts/node1");
    return found && *found ? (*found)->mod_revision : 0;
  }

  std::unique_ptr<Machine> next_machine_;
  std::unique_ptr<HostAgent> next_;
};

TEST_F(HostAgentSwap, DoesNothingBeforeItIsActivated) {
  const auto id = given_job();

  ASSERT_TRUE(ends(*agent_, id));

  EXPECT_TRUE(next_->units().empty());
}

TEST_F(HostAgentSwap, ActsNoMoreAfterQuiesce) {
  const auto before = given_job();
  ASSERT_TRUE(ends(*agent_, before));

  agent_->quiesce();
  const auto id = given_job();
  forget(before);
  EXPECT_EQ(agent_->withdraw(before).error().code, Code::unavailable);
  EXPECT_EQ(agent_->end(before).error().code, Code::unavailable);
  EXPECT_FALSE(agent_->enter());
  ASSERT_TRUE(next_->activate().ok());
  ASSERT_TRUE(ends(*next_, id));
  ASSERT_TRUE(eventually([&] { return !next_->unit(before); }));

  ASSERT_EQ(agent_->units().size(), 1U) << "the job that came later is the other one's";
  EXPECT_TRUE(agent_->unit(before)) << "the other one has forgotten it";
}

TEST_F(HostAgentSwap, TheNextOneActsOnWhatCameInBetween) {
  const auto forgotten = given_job();
  ASSERT_TRUE(ends(*agent_, forgotten));
  agent_->quiesce();
  const auto wanted = given_job(), stopped = new_uuid();
  StoreClient store(*door_);
  EXPECT_TRUE(store.put("jobs/stop/node1/" + stopped, json::object{{"v", 1}}).ok());
  forget(forgotten);

  ASSERT_TRUE(next_->activate().ok());

  EXPECT_TRUE(next_->unit(forgotten)) << "adopted when activate() returns";
  EXPECT_TRUE(ends(*next_, wanted));
  EXPECT_TRUE(eventually([&] { return !next_->unit(forgotten); }));
  EXPECT_FALSE(path_exists(machine_->paths().job(forgotten)));
}

TEST_F(HostAgentSwap, AJobThatRanAndWasForgottenIsNotRunAgain) {
  const auto id = given_job();
  ASSERT_TRUE(ends(*agent_, id));
  forget(id);
  ASSERT_TRUE(eventually([&] { return !agent_->unit(id); }));
  std::atomic<int> created{0};
  next_->observe([&](const char* event, const JobUnit&) { created += std::string(event) == "create" ? 1 : 0; });

  agent_->quiesce();
  ASSERT_TRUE(next_->activate().ok());

  const auto other = given_job();
  ASSERT_TRUE(ends(*next_, other));
  EXPECT_FALSE(next_->unit(id));
  EXPECT_EQ(created, 1) << "the other one alone";
}

TEST_F(HostAgentSwap, WorksAgainAfterASwapThatFailed) {
  const auto before = given_job();
  ASSERT_TRUE(ends(*agent_, before));
  ASSERT_TRUE(eventually([&] { return announced_at() > 0; }));
  const auto announced = announced_at();

  agent_->quiesce();
  const auto in_between = given_job();
  forget(before);
  ASSERT_TRUE(agent_->activate().ok());

  EXPECT_TRUE(ends(*agent_, in_between));
  EXPECT_TRUE(eventually([&] { return !agent_->unit(before); }));
  EXPECT_TRUE(eventually([&] { return announced_at() > announced; })) << "under a lease of its own";
  EXPECT_TRUE(ends(*agent_, given_job()));
}

TEST_F(HostAgentSwap, WorksAgainAfterTheNextOneWasInForceForAWhile) {
  const auto before = given_job();
  ASSERT_TRUE(ends(*agent_, before));
  agent_->quiesce();
  ASSERT_TRUE(next_->activate().ok());
  const auto id = given_job();
  ASSERT_TRUE(ends(*next_, id));
  forget(before);
  ASSERT_TRUE(eventually([&] { return !next_->unit(before); }));
  next_->quiesce();

  ASSERT_TRUE(agent_->activate().ok());

  EXPECT_TRUE(agent_->unit(id)) << "by its record";
  EXPECT_FALSE(agent_->unit(before)) << "the other one has forgotten it";
  EXPECT_TRUE(ends(*agent_, given_job()));
  next_->stop();
}

}  // namespace
}  // namespace flynn::host
