#include "attach_frames.h"

#include <gtest/gtest.h>

namespace flynn::host {
namespace {

TEST(AttachFrames, AreTakenWholeHoweverTheyArrive) {
  const std::string wire = std::string("\x03\x00\x00\x00\x00\x02hi", 8) + std::string("\x04\x00\x00\x00\x0f", 5) +
                           std::string("\x06\x00\x18\x00\x50", 5) + std::string("\x03\x00\x00\x00\x00\x00", 6);
  std::string buffer;
  std::vector<ClientFrame> frames;
  for (const char byte : wire) {
    buffer += byte;
    auto frame = take_client_frame(buffer);
    ASSERT_TRUE(frame.ok());
    if (*frame) frames.push_back(**frame);
  }

  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[0].data, "hi");
  EXPECT_EQ(frames[1].signal, 15u);
  EXPECT_EQ(frames[2].rows, 24);
  EXPECT_EQ(frames[2].columns, 80);
  EXPECT_EQ(frames[3].type, ClientFrame::Type::stdin_end);
  EXPECT_TRUE(buffer.empty());
}

TEST(AttachFrames, RefuseWhatNoClientSends) {
  for (std::string wire :
       {std::string("\x09"), std::string("\x03\x01\x00\x00\x00\x00", 6), std::string("\x03\x00\xff\xff\xff\xff", 6)})
    EXPECT_FALSE(take_client_frame(wire).ok());
}

TEST(AttachFrames, ToTheClientAreBigEndian) {
  EXPECT_EQ(data_frame(1, "x"), std::string("\x03\x01\x00\x00\x00\x01x", 7));
  EXPECT_EQ(exit_frame(137), std::string("\x05\x00\x00\x00\x89", 5));
}

}  // namespace
}  // namespace flynn::host
