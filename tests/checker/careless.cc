// careless: a database with one sin, CARELESS_SIN, that only its contract or odd calls bring to light. The tests of the
// checker.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "flynn/sdk/plugin.h"

namespace {

enum Sin {
  GOOD,
  CRASHES_ON_AN_ARRAY,
  WRONG_REPLY,
  TAKES_ANY_TYPE,
  UNDOCUMENTED_ERROR,
  SPEAKS_NO_UTF8,
  KEEPS_A_DESCRIPTOR,
  CRASHES_IN_A_CONSTRUCTOR,
  LOOPS_IN_A_CONSTRUCTOR,
  LEAKS_MEMORY,
  LEAKS_A_DESCRIPTOR,
  LEAKS_A_THREAD,
  PRINTS,
  EXITS,
  LEAVES_A_PROCESS
};
constexpr const char* kInterface = "flynn.database/1";

const bool kConstructed = [] {
  if (CARELESS_SIN == CRASHES_IN_A_CONSTRUCTOR) ::raise(SIGSEGV);
  for (volatile bool loops = CARELESS_SIN == LOOPS_IN_A_CONSTRUCTOR; loops;) ::pause();
  return true;
}();

class Careless : public flynn::Plugin {
 public:
  explicit Careless(flynn::Host& host) : Plugin(host) {
    if (CARELESS_SIN == LEAKS_MEMORY) leaked_ = new std::string(1500, kConstructed ? 'x' : 'y');
    if (CARELESS_SIN == LEAKS_A_DESCRIPTOR) leaked_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (CARELESS_SIN == LEAKS_A_THREAD)
      ::pthread_create(
          &leaked_thread_, nullptr,
          [](void*) -> void* {
            while (true) ::pause();
          },
          nullptr);
    on(kInterface, "Provision", [](flynn::Call&) -> flynn::Result<flynn::Reply> {
      return flynn::Error{flynn::Code::unavailable, "the server starts"};
    });
    on(kInterface, "Deprovision", [](flynn::Call& call) { return deprovision(call); });
    on(kInterface, "Status", [](flynn::Call&) -> flynn::Result<flynn::Reply> {
      if (CARELESS_SIN == SPEAKS_NO_UTF8) return flynn::Error{flynn::Code::unavailable, "caf\xe9 is closed"};
      if (CARELESS_SIN == WRONG_REPLY) return flynn::Reply{{{"state", 7}, {"databases", 0}}};
      return flynn::Reply{{{"state", "down"}, {"version", "1"}, {"addr", nullptr}, {"databases", 0}}};
    });
  }

  flynn::Result<void> start() override {
    if (CARELESS_SIN == KEEPS_A_DESCRIPTOR && ::open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
      return flynn::errno_error(errno, "open /dev/null");
    if (CARELESS_SIN == PRINTS) std::puts("{\"plugin\": \"no, this is not the report\""), std::fflush(stdout);
    if (CARELESS_SIN == EXITS) std::exit(0);
    // As a daemon does: a session of its own, and a parent that has ended.
    if (CARELESS_SIN == LEAVES_A_PROCESS && ::fork() == 0) {
      if (::setsid() > 0 && ::fork() == 0)
        while (true) ::pause();
      ::_exit(0);
    }
    return {};
  }

 private:
  std::string* leaked_ = nullptr;
  int leaked_fd_ = -1;
  pthread_t leaked_thread_ = 0;

  static flynn::Result<flynn::Reply> deprovision(const flynn::Call& call) {
    const auto* id = call.body.if_contains("id");
    if (CARELESS_SIN == CRASHES_ON_AN_ARRAY && id != nullptr && id->is_array()) ::raise(SIGSEGV);
    if (CARELESS_SIN == TAKES_ANY_TYPE && id != nullptr && !id->is_null()) return flynn::Reply{};
    auto given = flynn::require_string(call.body, "id");
    if (!given) return given.error();
    if (CARELESS_SIN == UNDOCUMENTED_ERROR) return flynn::Error{flynn::Code::cancelled, "not today"};
    return flynn::Error{flynn::Code::not_found, "there is no database " + *given};
  }
};

}  // namespace

FLYNN_PLUGIN(Careless)
