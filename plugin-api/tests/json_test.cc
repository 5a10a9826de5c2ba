#include "flynn/sdk/json.h"

#include <gtest/gtest.h>

namespace flynn {
namespace {

TEST(ParseJson, RefusesWhatIsNotOneDocument) {
  for (const char* text : {"", "{", "{}x", "[1,]", "{\"a\":1,}", "\"\xff\"", "nul"})
    EXPECT_EQ(parse_json(text).error().code, Code::invalid_argument) << text;
}

TEST(ParseJson, RefusesADocumentThatIsTooDeep) {
  const std::string deep = std::string(200, '[') + std::string(200, ']');

  EXPECT_FALSE(parse_json(deep).ok());
}

TEST(ParseJson, AllowsSpaceAroundTheDocument) { EXPECT_TRUE(parse_json(" {\"a\":1} \n").ok()); }

TEST(JsonMembers, ReadNullAsAbsent) {
  const auto object = *parse_json_object(R"({"s":null,"n":3.0,"t":"x"})");

  EXPECT_EQ(find_string(object, "s"), std::nullopt);
  EXPECT_EQ(find_int(object, "n"), 3);
  EXPECT_EQ(require_string(object, "s").error().message, "member \"s\" is missing");
  EXPECT_EQ(require_int(object, "t").error().message, "member \"t\" must be an integer");
}

}  // namespace
}  // namespace flynn
