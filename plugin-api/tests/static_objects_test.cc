// The static objects of an image end when it is unloaded, each once, the last made first; the C library knows none of
// them.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <vector>

namespace {

TEST(StaticObjects, EndWithTheirImageInReverseOrder) {
  std::vector<int> expected;
  for (int number = 71; number >= 1; --number) expected.push_back(number);
  expected.push_back(99);
  expected.push_back(0);

  for (int load = 0; load < 3; ++load) {
    std::vector<int> ended;
    void* image = ::dlopen(STATIC_OBJECTS_SO, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(image, nullptr) << ::dlerror();
    auto* record_ends = reinterpret_cast<void (*)(std::vector<int>*)>(::dlsym(image, "record_ends"));
    ASSERT_NE(record_ends, nullptr);
    record_ends(&ended);
    EXPECT_TRUE(ended.empty());

    ::dlclose(image);

    EXPECT_EQ(ended, expected);
  }
}

}  // namespace
