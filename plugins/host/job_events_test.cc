#include "job_events.h"

#include <gtest/gtest.h>

namespace flynn::host {
namespace {

std::string drain(http::Feed& feed, bool& goes_on) {
  std::string out;
  goes_on = feed.take(out);
  return out;
}

TEST(JobEvents, GoToThoseWhoListenToTheJobOrToAll) {
  int woken = 0;
  JobEvents events([&] { ++woken; });
  const auto all = events.listen(""), one = events.listen("a");
  events.publish("a", "{1}");
  events.publish("b", "{2}");

  bool goes_on = false;
  EXPECT_EQ(drain(*all, goes_on), "data: {1}\n\ndata: {2}\n\n");
  EXPECT_TRUE(goes_on);
  EXPECT_EQ(drain(*one, goes_on), "data: {1}\n\n");
  EXPECT_EQ(woken, 2);
}

TEST(JobEvents, EndWhoFallsBehindWithAnErrorAndKeepTheOthers) {
  JobEvents events([] {});
  const auto slow = events.listen(""), quick = events.listen("");
  bool goes_on = false;
  for (std::size_t i = 0; i <= kUndeliveredEventsMax; ++i) {
    events.publish("a", "{}");
    drain(*quick, goes_on);
    EXPECT_TRUE(goes_on);
  }

  const auto said = drain(*slow, goes_on);

  EXPECT_FALSE(goes_on);
  EXPECT_NE(said.find("\n\nevent: error\ndata: "), std::string::npos);
  EXPECT_EQ(said.substr(0, 10), "data: {}\n\n") << "what was kept is told first";
}

TEST(JobEvents, ForgetWhoHasGone) {
  JobEvents events([] {});
  auto feed = events.listen("");
  EXPECT_TRUE(events.has_listeners());

  feed.reset();

  EXPECT_FALSE(events.has_listeners());
}

TEST(JobEvent, IsTheStepThatFlynnsClientsKnow) {
  JobUnit unit;
  unit.phase = Phase::preparing;
  EXPECT_STREQ(job_event(Phase::none, unit), "create");
  unit.phase = Phase::up;
  EXPECT_STREQ(job_event(Phase::created, unit), "start");
  EXPECT_EQ(job_event(Phase::running, unit), nullptr) << "it was told when the program began";
  unit.phase = Phase::down;
  EXPECT_STREQ(job_event(Phase::stopping, unit), "stop");
  unit.error = "no layer";
  EXPECT_STREQ(job_event(Phase::preparing, unit), "error");
}

}  // namespace
}  // namespace flynn::host
