/* lender: a blob store in C that handles the descriptors of calls without an SDK; LENDER_SIN is what it does wrong. */
#include <errno.h>
#include <flynn/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOOD, CRASHES_ON_A_CLOSED_DESCRIPTOR, CLOSES_WHAT_IS_LENT };

static flynn_bytes text(const char* words) { return (flynn_bytes){words, strlen(words)}; }

static flynn_status fail(flynn_reply* reply, flynn_status code, const char* words) {
  reply->set_error(reply, code, text(words), text(""));
  return code;
}

/* The sins are behind the name: what has none is refused first, as a blob store does. */
static flynn_status put(const flynn_call* call, flynn_reply* reply) {
  static const char name[] = "\"check/fuzz\"";
  if (memmem(call->body.data, call->body.size, name, sizeof name - 1) == NULL || call->fd_count == 0)
    return fail(reply, FLYNN_E_INVALID_ARGUMENT, "name is missing, or the descriptor");
  char byte;
  if (read(call->fds[0], &byte, 1) < 0 && errno == EBADF) {
    if (LENDER_SIN == CRASHES_ON_A_CLOSED_DESCRIPTOR) raise(SIGSEGV);
    return fail(reply, FLYNN_E_INVALID_ARGUMENT, "the descriptor is closed");
  }
  if (LENDER_SIN == CLOSES_WHAT_IS_LENT) close(call->fds[0]);
  return fail(reply, FLYNN_E_RESOURCE_EXHAUSTED, "the disk is full");
}

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  (void)self;
  if (call->method.size == 3 && memcmp(call->method.data, "Put", 3) == 0) return put(call, reply);
  return fail(reply, FLYNN_E_UNIMPLEMENTED, "there is no such method");
}

static void destroy(void* self) { free(self); }

static const flynn_instance_vt table = {.struct_size = sizeof table, .destroy = destroy, .handle = handle};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  (void)host, (void)error;
  *self = malloc(1);
  *vt = &table;
  return *self == NULL ? FLYNN_E_RESOURCE_EXHAUSTED : FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}
