/* The switchboard: a plugin that serves connections and lets them move to another instance of it (ABI 1.1). Each byte on a connection
 * is a request: 'w' is answered with the version that serves it, 'b' makes the connection busy, 'e' ends that, answered as 'w'.
 * BOARD_SIN chooses what is wrong with it. */
#include <errno.h>
#include <fcntl.h>
#include <flynn/plugin.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GOOD, SICK, FAILING, REFUSING };
#ifndef BOARD_SIN
#define BOARD_SIN GOOD
#endif

enum { HELD_MAX = 1024, BATCH_MAX = 128 };

struct connection {
  int fd, busy, shared;
};

struct board {
  const flynn_host* host;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread;
  int running, ending, active, listener, wake[2];
  struct connection held[HELD_MAX];
  unsigned count, share, accepted;
  unsigned long served;
};

static flynn_bytes text(const char* words) { return (flynn_bytes){words, strlen(words)}; }

static flynn_status fail(flynn_error* error, const char* words) {
  error->code = FLYNN_E_UNAVAILABLE;
  error->message_size = (uint32_t)snprintf(error->message, sizeof error->message, "%s", words);
  return FLYNN_E_UNAVAILABLE;
}

static void wake(struct board* me) {
  pthread_cond_broadcast(&me->changed);
  if (write(me->wake[1], "x", 1) != 1) return; /* full: it is awake */
}

static void hold(struct board* me, int fd, int shared) {
  if (me->count == HELD_MAX) {
    close(fd);
    return;
  }
  me->held[me->count++] = (struct connection){fd, 0, shared};
}

static void forget(struct board* me, unsigned at) { me->held[at] = me->held[--me->count]; }

static void accept_all(struct board* me) {
  int fd;
  while ((fd = accept4(me->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    ++me->accepted;
    hold(me, fd, (unsigned long)me->accepted * me->share / 1000 != (me->accepted - 1ul) * me->share / 1000);
  }
}

static void answer(struct board* me, unsigned at) {
  struct connection* one = &me->held[at];
  char byte = 0;
  const ssize_t size = recv(one->fd, &byte, 1, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    close(one->fd);
    forget(me, at);
    return;
  }
  ++me->served;
  one->busy = byte == 'b' || (one->busy && byte != 'e');
  if (byte != 'b' && send(one->fd, BOARD_VERSION, strlen(BOARD_VERSION), MSG_NOSIGNAL) < 0) return;
}

static void* serve(void* self) {
  struct board* me = self;
  struct pollfd polled[HELD_MAX + 2];
  pthread_mutex_lock(&me->lock);
  while (!me->ending) {
    unsigned count = 0;
    polled[count++] = (struct pollfd){me->wake[0], POLLIN, 0};
    polled[count++] = (struct pollfd){me->active ? me->listener : -1, POLLIN, 0};
    for (unsigned i = 0; i < me->count; ++i) polled[count++] = (struct pollfd){me->held[i].fd, POLLIN, 0};
    pthread_mutex_unlock(&me->lock);
    poll(polled, count, -1);
    pthread_mutex_lock(&me->lock);
    char bytes[64];
    while (read(me->wake[0], bytes, sizeof bytes) > 0) continue;
    if (me->active && polled[1].revents) accept_all(me);
    for (unsigned i = 2; i < count; ++i) { /* those that were handed over meanwhile are not found any more */
      if (!polled[i].revents) continue;
      for (unsigned at = me->count; at-- > 0;)
        if (me->held[at].fd == polled[i].fd) answer(me, at);
    }
    pthread_cond_broadcast(&me->changed);
  }
  pthread_mutex_unlock(&me->lock);
  return NULL;
}

static flynn_status start(void* self, flynn_error* error) {
  struct board* me = self;
  if (pipe2(me->wake, O_CLOEXEC | O_NONBLOCK) != 0) return fail(error, "no pipe");
  if (pthread_create(&me->thread, NULL, serve, me) != 0) return fail(error, "no thread");
  me->running = 1;
  return FLYNN_OK;
}

static flynn_status health(void* self, flynn_error* error) {
  struct board* me = self;
  pthread_mutex_lock(&me->lock);
  const int sick = BOARD_SIN == SICK && me->active;
  pthread_mutex_unlock(&me->lock);
  return sick ? fail(error, "the lines are crossed") : FLYNN_OK;
}

static void set_active(struct board* me, int active) {
  pthread_mutex_lock(&me->lock);
  me->active = active;
  wake(me);
  pthread_mutex_unlock(&me->lock);
}

static flynn_status activate(void* self, flynn_error* error) {
  struct board* me = self;
  if (me->listener < 0) {
    const flynn_status lent = me->host->listener(me->host, text("zoo"), &me->listener, error);
    if (lent != FLYNN_OK) return lent;
  }
  set_active(me, 1);
  return FLYNN_OK;
}

static flynn_status quiesce(void* self, flynn_error* error) {
  (void)error;
  set_active(self, 0);
  return FLYNN_OK;
}

/* Takes what may move out of `held`, at most a batch; how many more may move later. */
static unsigned collect(struct board* me, uint32_t share, int* fds, unsigned* given) {
  unsigned left = 0;
  for (unsigned at = me->count; at-- > 0;) {
    const struct connection one = me->held[at];
    if (share == 0 || (share < 1000 && !one.shared)) continue;
    if (one.busy || *given == BATCH_MAX) {
      ++left;
      continue;
    }
    fds[(*given)++] = one.fd;
    forget(me, at);
  }
  return left;
}

static flynn_status hand_over(void* self, uint32_t share, uint64_t deadline_ns, flynn_reply* reply, flynn_error* error) {
  struct board* me = self;
  (void)error;
  const struct timespec deadline = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
  int fds[BATCH_MAX];
  unsigned given = 0, left = 0;
  pthread_mutex_lock(&me->lock);
  if (share < 1000) me->share = share;
  for (int late = 0;; late = pthread_cond_timedwait(&me->changed, &me->lock, &deadline) != 0) {
    left = collect(me, share, fds, &given);
    if (given > 0 || late || share == 0 || (share == 1000 && left == 0)) break;
  }
  wake(me);
  pthread_mutex_unlock(&me->lock);
  char body[64 + 2 * BATCH_MAX] = "{\"v\":1,\"connections\":[";
  for (unsigned i = 0; i < given; ++i) {
    strcat(body, i == 0 ? "1" : ",1");
    reply->add_fd(reply, fds[i]);
  }
  sprintf(body + strlen(body), "],\"left\":%u}", left);
  reply->set_body(reply, text(body));
  return FLYNN_OK;
}

static flynn_status take_over(void* self, flynn_bytes list, const int* fds, uint32_t count, flynn_error* error) {
  struct board* me = self;
  (void)list;
  if (BOARD_SIN == REFUSING) return fail(error, "these lines are foreign");
  pthread_mutex_lock(&me->lock);
  for (uint32_t i = 0; i < count; ++i) hold(me, fcntl(fds[i], F_DUPFD_CLOEXEC, 0), 0);
  wake(me);
  pthread_mutex_unlock(&me->lock);
  return FLYNN_OK;
}

/* Connections end when their clients leave or the deadline has come. */
static flynn_status drain(void* self, uint64_t deadline_ns, flynn_error* error) {
  struct board* me = self;
  (void)error;
  const struct timespec deadline = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
  pthread_mutex_lock(&me->lock);
  while (me->count > 0 && pthread_cond_timedwait(&me->changed, &me->lock, &deadline) == 0) continue;
  pthread_mutex_unlock(&me->lock);
  return FLYNN_OK;
}

static flynn_status stop(void* self, uint64_t deadline_ns, flynn_error* error) {
  struct board* me = self;
  (void)deadline_ns, (void)error;
  if (!me->running) return FLYNN_OK;
  pthread_mutex_lock(&me->lock);
  me->ending = 1;
  wake(me);
  pthread_mutex_unlock(&me->lock);
  pthread_join(me->thread, NULL);
  while (me->count > 0) close(me->held[--me->count].fd);
  close(me->wake[0]);
  close(me->wake[1]);
  return FLYNN_OK;
}

static void destroy(void* self) {
  struct board* me = self;
  if (me->listener >= 0) close(me->listener);
  pthread_cond_destroy(&me->changed);
  pthread_mutex_destroy(&me->lock);
  free(me);
}

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  struct board* me = self;
  (void)call;
  char body[160];
  pthread_mutex_lock(&me->lock);
  snprintf(body, sizeof body, "{\"version\":\"" BOARD_VERSION "\",\"connections\":%u,\"served\":%lu,\"failed\":%lu,\"latency_us_sum\":%lu}",
           me->count, me->served, BOARD_SIN == FAILING ? me->served : 0, me->served * 10);
  pthread_mutex_unlock(&me->lock);
  reply->set_body(reply, text(body));
  return FLYNN_OK;
}

static const flynn_instance_vt table = {
    .struct_size = sizeof table, .start = start, .health = health, .activate = activate, .quiesce = quiesce, .resume = activate,
    .drain = drain, .stop = stop, .destroy = destroy, .handle = handle, .hand_over = hand_over, .take_over = take_over};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  (void)error;
  struct board* made = calloc(1, sizeof *made);
  made->host = host;
  made->listener = -1;
  pthread_condattr_t clock;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&made->changed, &clock);
  pthread_condattr_destroy(&clock);
  pthread_mutex_init(&made->lock, NULL);
  *self = made;
  *vt = &table;
  return FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}
