// The SDK through the C ABI, as the host sees it: a built plugin, its one symbol, its tables.
#include "flynn/sdk/plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include "../src/abi.h"

namespace flynn {
namespace {

class GreeterTest : public testing::Test {
 protected:
  void SetUp() override {
    image_ = ::dlopen(GREETER_SO, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(image_, nullptr) << ::dlerror();
    auto entry = reinterpret_cast<decltype(&flynn_plugin_entry_1)>(::dlsym(image_, "flynn_plugin_entry_1"));
    ASSERT_NE(entry, nullptr);
    error_.struct_size = sizeof error_;
    host_.struct_size = sizeof host_;
    ASSERT_EQ(entry()->create(&host_, &self_, &table_, &error_), FLYNN_OK);
  }

  void TearDown() override {
    table_->destroy(self_);
    ::dlclose(image_);
    EXPECT_EQ(::dlopen(GREETER_SO, RTLD_NOLOAD | RTLD_NOW), nullptr) << "the image is still mapped";
  }

  Result<Reply> call(std::string_view method, std::string_view body, std::vector<int> fds = {}) {
    flynn_call request{};
    request.struct_size = sizeof request;
    request.interface = abi1::bytes("com.acme.greeter/1");
    request.method = abi1::bytes(method);
    request.body = abi1::bytes(body);
    request.fds = fds.data();
    request.fd_count = static_cast<std::uint32_t>(fds.size());
    abi1::ReplyCollector reply;
    const auto status = table_->handle(self_, &request, reply.table());
    return reply.take(status);
  }

  void* image_ = nullptr;
  flynn_host host_{};
  void* self_ = nullptr;
  const flynn_instance_vt* table_ = nullptr;
  flynn_error error_{};
};

TEST_F(GreeterTest, AnswersAMethodWithItsDocument) {
  ASSERT_EQ(table_->configure(self_, abi1::bytes(R"({"greeting":"good day,"})"), &error_), FLYNN_OK);

  EXPECT_EQ(string_or(call("Greet", R"({"name":"Ada"})")->body, "text"), "good day, Ada");
}

TEST_F(GreeterTest, TurnsAnExceptionIntoInternal) {
  const auto reply = call("Throw", "{}");

  EXPECT_EQ(reply.error().code, Code::internal);
  EXPECT_EQ(reply.error().message, "exception: thrown behind the wall");
}

TEST_F(GreeterTest, RefusesMalformedJsonAndUnknownMethods) {
  EXPECT_EQ(call("Greet", "{\"name\":").error().code, Code::invalid_argument);
  EXPECT_EQ(call("Greet", "[]").error().code, Code::invalid_argument);
  EXPECT_EQ(call("Nope", "{}").error().code, Code::unimplemented);
}

TEST_F(GreeterTest, PassesDescriptorsBothWays) {
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  const auto reply = call("Echo", "{}", {null.get()});

  ASSERT_EQ(reply->fds.size(), 1u);
  EXPECT_NE(reply->fds[0].get(), null.get());
  EXPECT_GE(::fcntl(reply->fds[0].get(), F_GETFD), 0);
}

TEST_F(GreeterTest, RefusesAClosedDescriptorAsTheCallersFault) {
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  const auto reply = call("Echo", "{}", {null.get(), 987654});

  EXPECT_EQ(reply.error().code, Code::invalid_argument);
  EXPECT_NE(reply.error().message.find("descriptor 1 of the call"), std::string::npos) << reply.error().message;
}

}  // namespace
}  // namespace flynn
