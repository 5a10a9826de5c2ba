/* A plugin in plain C: com.example.clock/1 Now -> {"unix_ms": …}. Needs nothing but flynn/plugin.h. */
#include <flynn/plugin.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct clock {
  const flynn_host* host;
};

static int is(flynn_bytes text, const char* wanted) {
  return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  (void)self;
  if (!is(call->method, "Now")) {
    static const char words[] = "com.example.clock/1 has the method Now alone";
    reply->set_error(reply, FLYNN_E_UNIMPLEMENTED, (flynn_bytes){words, sizeof words - 1}, (flynn_bytes){NULL, 0});
    return FLYNN_E_UNIMPLEMENTED;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char body[64];
  const int size = snprintf(body, sizeof body, "{\"unix_ms\":%" PRId64 "}",
                            (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
  reply->set_body(reply, (flynn_bytes){body, (uint64_t)size});
  return FLYNN_OK;
}

static void destroy(void* self) { free(self); }

static const flynn_instance_vt table = {.struct_size = sizeof table, .destroy = destroy, .handle = handle};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  (void)error;
  struct clock* made = calloc(1, sizeof *made);
  if (made == NULL) return FLYNN_E_RESOURCE_EXHAUSTED;
  made->host = host;
  *self = made;
  *vt = &table;
  return FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}
