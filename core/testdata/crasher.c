/* Animals that bring the host down: on request, in start, on a thread of their own, or on probation; and one that greets whoever
 * connects to the lent socket "web". CRASH_SIN says which; core/tests/crash_test.cc how the host answers. */
#include <arpa/inet.h>
#include <flynn/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ON_REQUEST, IN_START, OVERFLOW_IN_START, ON_THREAD_IN_START, ON_PROBATION, GREETER };
#ifndef CRASH_SIN
#define CRASH_SIN ON_REQUEST
#endif
#ifndef CRASH_VERSION
#define CRASH_VERSION "1.0.0"
#endif

struct animal {
  const flynn_host* host;
  atomic_int calls, active, ending;
  int web;
  pthread_t greeting;
};

static flynn_bytes text(const char* words) { return (flynn_bytes){words, strlen(words)}; }

static int is(flynn_bytes a, const char* b) { return a.size == strlen(b) && memcmp(a.data, b, a.size) == 0; }

static void crash(void) {
  volatile int* volatile nowhere = NULL;
  *nowhere = 1;
}

/* Not in this file's code: abort is libc's. */
static void* abort_on_thread(void* nothing) {
  abort();
  return nothing;
}

static void* crash_on_thread(void* nothing) {
  crash();
  return nothing;
}

static void on_thread(void* (*what)(void*)) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, what, NULL) == 0) pthread_join(thread, NULL);
}

static int overflow(int depth) {
  volatile char page[4096];
  page[0] = (char)depth;
  return overflow(depth + 1) + page[0];
}

static void* greet(void* self) {
  struct animal* me = self;
  while (!me->ending) {
    struct pollfd entry = {me->web, POLLIN, 0};
    if (poll(&entry, 1, 50) <= 0) continue;
    const int peer = accept(me->web, NULL, NULL);
    if (peer < 0) continue;
    char words[32];
    const int size = snprintf(words, sizeof words, "%d\n", (int)getpid());
    if (send(peer, words, (size_t)size, MSG_NOSIGNAL) < 0) me->calls++;
    close(peer);
  }
  return NULL;
}

static flynn_status start(void* self, flynn_error* error) {
  struct animal* me = self;
  if (CRASH_SIN == IN_START) crash();
  if (CRASH_SIN == OVERFLOW_IN_START) me->calls = overflow(0);
  if (CRASH_SIN == ON_THREAD_IN_START) on_thread(abort_on_thread);
  if (CRASH_SIN != GREETER) return FLYNN_OK;
  const flynn_status lent = me->host->listener(me->host, text("web"), &me->web, error);
  if (lent == FLYNN_OK) pthread_create(&me->greeting, NULL, greet, me);
  return lent;
}

static flynn_status health(void* self, flynn_error* error) {
  struct animal* me = self;
  (void)error;
  if (CRASH_SIN == ON_PROBATION && me->active) crash();
  return FLYNN_OK;
}

static flynn_status activate(void* self, flynn_error* error) {
  (void)error;
  ((struct animal*)self)->active = 1;
  return FLYNN_OK;
}

static flynn_status stop(void* self, uint64_t deadline_ns, flynn_error* error) {
  struct animal* me = self;
  (void)deadline_ns, (void)error;
  me->ending = 1;
  if (CRASH_SIN == GREETER) {
    pthread_join(me->greeting, NULL);
    close(me->web);
  }
  return FLYNN_OK;
}

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  struct animal* me = self;
  if (is(call->method, "Crash")) crash();
  if (is(call->method, "ThirdCall") && ++me->calls == 3) crash();
  if (is(call->method, "Abort")) abort();
  if (is(call->method, "Exit")) exit(3);
  if (is(call->method, "CrashOnThread")) on_thread(crash_on_thread);
  if (is(call->method, "AbortOnThread")) on_thread(abort_on_thread);
  if (!is(call->method, "Version")) {
    reply->set_error(reply, FLYNN_E_UNIMPLEMENTED, text("no animal can do that"), text(""));
    return FLYNN_E_UNIMPLEMENTED;
  }
  char answer[64];
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  if (CRASH_SIN == GREETER && getsockname(me->web, (struct sockaddr*)&address, &size) == 0)
    snprintf(answer, sizeof answer, "{\"version\":\"" CRASH_VERSION "\",\"port\":%d}", ntohs(address.sin_port));
  else
    snprintf(answer, sizeof answer, "{\"version\":\"" CRASH_VERSION "\"}");
  reply->set_body(reply, text(answer));
  return FLYNN_OK;
}

static void destroy(void* self) { free(self); }

static const flynn_instance_vt table = {.struct_size = sizeof table,
                                        .start = start,
                                        .health = health,
                                        .activate = activate,
                                        .stop = stop,
                                        .destroy = destroy,
                                        .handle = handle};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  (void)error;
  struct animal* made = calloc(1, sizeof *made);
  made->host = host;
  *self = made;
  *vt = &table;
  return FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}
