/* The zoo: plugins with one sin each, chosen by ZOO_SIN; without one, a plugin that behaves. Each is built by CMakeLists.txt beside
 * this file, and core/tests says how the host answers it. */
#include <flynn/plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  GOOD, CREATE_FAILS, CONFIGURE_REFUSES, IMPORT_FAILS, START_FAILS, UNHEALTHY, ACTIVATE_FAILS, SICK_AFTER_FLIP, QUIESCE_FAILS,
  EXPORT_FAILS, HANG_IN_START, HANG_IN_DRAIN, STOP_FAILS, THREAD_STAYS, NO_HANDLE, WRONG_DESCRIPTOR, NO_INSTANCE, NO_ANSWER, CLOSED_FD,
  ERRORS_AFTER_FLIP, SLOW_AFTER_FLIP, LEAKS_AFTER_FLIP, HANG_IN_LOAD
};
#ifndef ZOO_SIN
#define ZOO_SIN GOOD
#endif
#ifndef ZOO_LOCKS
#define ZOO_LOCKS 0
#endif
#ifndef ZOO_VERSION
#define ZOO_VERSION "1.0.0"
#endif

struct animal {
  const flynn_host* host;
  int active, checks, lock;
  int leaked_fds[2048], fds_leaked, threads_leaked, gate[2];
  pthread_t leaked_threads[128];
};

static flynn_bytes text(const char* words) { return (flynn_bytes){words, strlen(words)}; }

static flynn_status fail(flynn_error* error, const char* words) {
  error->code = FLYNN_E_FAILED_PRECONDITION;
  error->message_size = (uint32_t)snprintf(error->message, sizeof error->message, "%s", words);
  return FLYNN_E_FAILED_PRECONDITION;
}

static void hang(unsigned ms) {
  struct timespec span = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&span, NULL);
}

__attribute__((constructor)) static void born(void) {
  while (ZOO_SIN == HANG_IN_LOAD) hang(1000);
}

static int is(flynn_bytes a, const char* b) { return a.size == strlen(b) && memcmp(a.data, b, a.size) == 0; }

static flynn_status configure(void* self, flynn_bytes config, flynn_error* error) {
  (void)self, (void)config;
  return ZOO_SIN == CONFIGURE_REFUSES ? fail(error, "this configuration is not to my taste") : FLYNN_OK;
}

static flynn_status import_state(void* self, flynn_bytes state, const int* fds, uint32_t count, flynn_error* error) {
  (void)self, (void)state, (void)fds, (void)count;
  return ZOO_SIN == IMPORT_FAILS ? fail(error, "this state is foreign") : FLYNN_OK;
}

/* What only one instance may have, such as the lock of a store: an abstract socket with the process's name on it. */
static int take_lock(struct animal* me) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "flynn-zoo-%d", (int)getpid());
  if (!ZOO_LOCKS) return 1;
  me->lock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (me->lock >= 0 && bind(me->lock, (struct sockaddr*)&name, sizeof name) == 0) return 1;
  if (me->lock >= 0) close(me->lock);
  me->lock = 0;
  return 0;
}

static void leave_lock(struct animal* me) {
  if (me->lock > 0) close(me->lock);
  me->lock = 0;
}

/* What is not there when the image is loaded. */
#ifdef ZOO_NEEDS
int ZOO_NEEDS(void);
#else
static int zoo_alone(void) { return 0; }
#define ZOO_NEEDS zoo_alone
#endif

static flynn_status start(void* self, flynn_error* error) {
  if (ZOO_NEEDS() != 0) return fail(error, "what it needs is not as it should be");
  if (ZOO_SIN == HANG_IN_START) hang(3000);
  if (!take_lock(self)) return fail(error, "another has the lock");
  return ZOO_SIN == START_FAILS ? fail(error, "the engine does not turn") : FLYNN_OK;
}

static void* wait_for_gate(void* self) {
  char byte;
  return read(((struct animal*)self)->gate[0], &byte, 1) == 0 ? NULL : self;
}

/* With every check 100 descriptors and 8 threads; stop() ends them all, so that a test sees the gate and not the zombie. */
static void leak(struct animal* me) {
  if (me->threads_leaked == 0 && pipe(me->gate) != 0) return;
  for (int i = 0; i < 100 && me->fds_leaked < 2048; ++i) me->leaked_fds[me->fds_leaked++] = dup(me->gate[0]);
  for (int i = 0; i < 8 && me->threads_leaked < 128; ++i)
    if (pthread_create(&me->leaked_threads[me->threads_leaked], NULL, wait_for_gate, me) == 0) ++me->threads_leaked;
}

static void end_leak(struct animal* me) {
  if (me->threads_leaked == 0) return;
  close(me->gate[1]);
  while (me->threads_leaked > 0) pthread_join(me->leaked_threads[--me->threads_leaked], NULL);
  while (me->fds_leaked > 0) close(me->leaked_fds[--me->fds_leaked]);
  close(me->gate[0]);
}

static flynn_status health(void* self, flynn_error* error) {
  struct animal* me = self;
  if (ZOO_SIN == UNHEALTHY) return fail(error, "a fever");
  if (ZOO_SIN == LEAKS_AFTER_FLIP && me->active) leak(me);
  if (ZOO_SIN == SICK_AFTER_FLIP && me->active) return fail(error, "fell ill at work");
  return FLYNN_OK;
}

static flynn_status activate(void* self, flynn_error* error) {
  ((struct animal*)self)->active = 1;
  return ZOO_SIN == ACTIVATE_FAILS ? fail(error, "will not work") : FLYNN_OK;
}

static flynn_status quiesce(void* self, flynn_error* error) {
  ((struct animal*)self)->active = 0;
  leave_lock(self);
  return ZOO_SIN == QUIESCE_FAILS ? fail(error, "will not be quiet") : FLYNN_OK;
}

static flynn_status resume(void* self, flynn_error* error) {
  if (!take_lock(self)) return fail(error, "another has the lock");
  ((struct animal*)self)->active = 1;
  return FLYNN_OK;
}

static flynn_status export_state(void* self, flynn_reply* state, flynn_error* error) {
  (void)self;
  if (ZOO_SIN == EXPORT_FAILS) return fail(error, "gives nothing away");
  state->set_body(state, text("{\"legacy\":1}"));
  return FLYNN_OK;
}

static flynn_status drain(void* self, uint64_t deadline_ns, flynn_error* error) {
  (void)self, (void)deadline_ns, (void)error;
  if (ZOO_SIN == HANG_IN_DRAIN) hang(6000);
  return FLYNN_OK;
}

static void* stay(void* nothing) {
  while (1) pause();
  return nothing;
}

static flynn_status stop(void* self, uint64_t deadline_ns, flynn_error* error) {
  (void)deadline_ns;
  end_leak(self);
  leave_lock(self);
  if (ZOO_SIN == THREAD_STAYS) {
    pthread_t thread;
    pthread_create(&thread, NULL, stay, NULL);
  }
  return ZOO_SIN == STOP_FAILS ? fail(error, "will not stop") : FLYNN_OK;
}

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  struct animal* me = self;
  if (ZOO_SIN == NO_ANSWER) return FLYNN_OK;
  if (ZOO_LOCKS && me->lock <= 0) {
    reply->set_error(reply, FLYNN_E_UNAVAILABLE, text("it has no lock"), text(""));
    return FLYNN_E_UNAVAILABLE;
  }
  if (ZOO_SIN == SLOW_AFTER_FLIP) hang(20);
  if (ZOO_SIN == ERRORS_AFTER_FLIP) {
    reply->set_error(reply, FLYNN_E_INTERNAL, text("the new one is worse"), text(""));
    return FLYNN_E_INTERNAL;
  }
  if (ZOO_SIN == CLOSED_FD) reply->add_fd(reply, 987654);
  if (is(call->method, "Sleep")) hang(300);
  if (is(call->method, "Forbidden")) {
    flynn_call inner = *call;
    inner.interface = text("flynn.secret/1");
    return me->host->call(me->host, &inner, reply);
  }
  if (is(call->method, "Again")) { /* calls itself through the door, as deep as it is let */
    flynn_call inner = *call;
    if (call->fd_count == 0 && call->body.size > 2 && call->body.size < 40) {
      char body[64] = "{\"deep\":\"";
      memset(body + 9, 'x', call->body.size - 10);
      strcpy(body + 9 + call->body.size - 10, "\"}");
      inner.body = text(body);
      return me->host->call(me->host, &inner, reply);
    }
  }
  if (!is(call->method, "Version") && !is(call->method, "Sleep") && !is(call->method, "Again")) {
    reply->set_error(reply, FLYNN_E_UNIMPLEMENTED, text("no animal can do that"), text(""));
    return FLYNN_E_UNIMPLEMENTED;
  }
  reply->set_body(reply, text("{\"version\":\"" ZOO_VERSION "\"}"));
  return FLYNN_OK;
}

static void destroy(void* self) { free(self); }

static const flynn_instance_vt table = {
    .struct_size = sizeof table, .configure = configure, .import_state = import_state, .start = start, .health = health,
    .activate = activate, .quiesce = quiesce, .resume = resume, .export_state = export_state, .drain = drain, .stop = stop,
    .destroy = destroy, .handle = ZOO_SIN == NO_HANDLE ? NULL : handle};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  if (ZOO_SIN == CREATE_FAILS) return fail(error, "was never born");
  if (ZOO_SIN == NO_INSTANCE) return FLYNN_OK;
  struct animal* made = calloc(1, sizeof *made);
  made->host = host;
  *self = made;
  *vt = &table;
  return FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, ZOO_SIN == WRONG_DESCRIPTOR ? 7 : FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}

#ifdef ZOO_EXTRA_EXPORT
__attribute__((visibility("default"))) int also_visible = 1;
#endif
