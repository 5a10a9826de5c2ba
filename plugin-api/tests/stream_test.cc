#include "flynn/sdk/stream.h"

#include <gtest/gtest.h>

#include "flynn/sdk/worker.h"

namespace flynn {
namespace {

TEST(LineReader, GivesLinesWholeHoweverTheyArrive) {
  auto ends = make_stream();
  LineReader reader(std::move(ends->second));
  ASSERT_TRUE(write_all(ends->first.get(), "{\"a\":1}\n{\"b\"", Deadline::after(std::chrono::seconds(1))));

  EXPECT_EQ(*reader.next(Deadline::after(std::chrono::seconds(1))), LineReader::Status::line);
  EXPECT_EQ(reader.text(), "{\"a\":1}");
  EXPECT_EQ(*reader.next(Deadline::after(std::chrono::milliseconds(1))), LineReader::Status::timeout);
  ASSERT_TRUE(write_all(ends->first.get(), ":2}\n", Deadline::after(std::chrono::seconds(1))));
  EXPECT_EQ(*reader.next(Deadline::after(std::chrono::seconds(1))), LineReader::Status::line);
  EXPECT_EQ(reader.text(), "{\"b\":2}");
  ends->first.reset();
  EXPECT_EQ(*reader.next(Deadline::after(std::chrono::seconds(1))), LineReader::Status::end);
}

TEST(LineReader, ReturnsWhenAskedToStop) {
  auto ends = make_stream();
  LineReader reader(std::move(ends->second));
  StopSignal stop;

  stop.ask();

  EXPECT_EQ(*reader.next(Deadline::none(), stop.fd()), LineReader::Status::stopped);
}

TEST(WriteAll, SaysThatTheReaderHasGone) {
  auto ends = make_stream();
  ends->second.reset();

  EXPECT_EQ(write_all(ends->first.get(), "x", Deadline::none()).error().code, Code::cancelled);
}

TEST(Worker, KeepsWhatItsBodyThrew) {
  Worker worker;

  worker.start("thrower", [](const StopSignal&) { throw std::runtime_error("broken"); });
  worker.stop();

  EXPECT_EQ(worker.error(), "broken");
}

}  // namespace
}  // namespace flynn
