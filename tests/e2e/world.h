// The one node that the tests of an executable share, and what they all need of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "node.h"

namespace flynn::e2e {

/// Started by the first test that asks, gone at the end of the program. Skips visibly without root.
class WorldTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;
  /// Valid in every test.
  static Node& node();

  /// Pushes the sample as `app` unless it is there already; a failure shows the push.
  static void given_app(const std::string& sample, const std::string& app);
  /// The app answers 200 with a body that contains `text`.
  static void expect_page(const std::string& app, const std::string& text);
  /// Lines of `flynn ps` of the app whose type is `type` and whose state is up.
  static int jobs_up(const std::string& app, const std::string& type);
};

/// Ends the node; called by main after the tests.
void end_world();

}  // namespace flynn::e2e
