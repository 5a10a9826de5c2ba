/* flynn/plugin.h: the Flynn plugin ABI, version 1. All that crosses between the host and a plugin is in this file.
 *
 * A plugin is a shared object that exports one function, flynn_plugin_entry_1, and carries its manifest (a JSON document)
 * in an ELF note: section .note.flynn, name "Flynn", type FLYNN_NOTE_MANIFEST. The host judges the manifest before it runs
 * any code of the plugin.
 *
 * Rules, for both sides:
 *  R1 Growth. Every struct begins with struct_size, filled by the side that made it. Members are only ever appended.
 *     A reader tests FLYNN_HAS(p, member) before it uses a member that its own minimum version does not have.
 *  R2 Promise. A plugin built for ABI 1.x loads in every host of ABI 1.y with y >= x.
 *  R3 Memory. Nobody frees what the other side allocated. Inputs are borrowed until the function returns. Results are
 *     handed to the functions of flynn_reply, which copy. Strings are UTF-8 with a length; none is NUL-terminated.
 *  R4 Errors. Zero or a negative flynn_status; the text goes into the caller's flynn_error. No errno, no C++ exception,
 *     no longjmp crosses.
 *  R5 Threads. [control] called by one thread at a time per instance, never from inside a call.  [any] any thread,
 *     concurrently.
 *  R6 Life. After destroy() returns nothing inside the image may be referred to by anyone: no thread, timer, signal
 *     handler, atexit hook, thread-local destructor or process-wide registration.
 *  R7 Numbers. Unknown codes and levels are tolerated; reserved words are zero.
 *  R8 Time. Deadlines are absolute CLOCK_MONOTONIC nanoseconds; zero means none.
 *  R9 Descriptors. Who passes a descriptor in an array keeps it: the receiver duplicates what it keeps (fcntl
 *     F_DUPFD_CLOEXEC). Exceptions are named at the function.
 *
 * Source of the shape: CLAP (size-prefixed C tables, thread tags), SQLite's extension API (a table that only grows).
 */
#ifndef FLYNN_PLUGIN_H
#define FLYNN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLYNN_ABI_MAJOR 1
#define FLYNN_ABI_MINOR 1
#define FLYNN_NOTE_NAME "Flynn"
#define FLYNN_NOTE_MANIFEST 1

#define FLYNN_HAS(p, member) \
  ((p) != NULL && (p)->struct_size >= offsetof(__typeof__(*(p)), member) + sizeof((p)->member) && (p)->member)

/* What a code tells the caller to do. The list is closed for 1.x but for appended codes; treat an unknown one as
 * FLYNN_E_INTERNAL. */
typedef int32_t flynn_status;
enum {
  FLYNN_OK = 0,
  FLYNN_E_INVALID_ARGUMENT = -1,    /* never retry; the message names the field */
  FLYNN_E_NOT_FOUND = -2,
  FLYNN_E_ALREADY_EXISTS = -3,
  FLYNN_E_CONFLICT = -4,            /* re-read, then decide */
  FLYNN_E_PERMISSION_DENIED = -5,   /* the caller lacks the capability */
  FLYNN_E_UNAVAILABLE = -6,         /* retry with back-off */
  FLYNN_E_DEADLINE_EXCEEDED = -7,   /* the effect is unknown */
  FLYNN_E_RESOURCE_EXHAUSTED = -8,  /* a limit was reached; the message names it */
  FLYNN_E_UNIMPLEMENTED = -9,       /* no such interface, minor or method */
  FLYNN_E_FAILED_PRECONDITION = -10,
  FLYNN_E_CANCELLED = -11,
  FLYNN_E_INTERNAL = -12,           /* a bug or broken state: stop this unit */
  FLYNN_E_OUT_OF_RANGE = -13,       /* e.g. a watch from a compacted revision */
  FLYNN_E_RESTART_REQUIRED = -14    /* configure() on a started instance: take effect by a swap of the same version */
};

enum { FLYNN_LOG_DEBUG = 0, FLYNN_LOG_INFO = 1, FLYNN_LOG_WARN = 2, FLYNN_LOG_ERROR = 3 };

typedef struct flynn_bytes {
  const char* data;
  uint64_t size;
} flynn_bytes; /* a borrowed view; never grows */

/* The caller's memory. A callee writes code and at most sizeof(message) bytes of UTF-8, message_size of them valid. */
typedef struct flynn_error {
  uint32_t struct_size;
  flynn_status code;
  uint32_t message_size;
  char message[1012];
} flynn_error;

/* One call through the door. Borrowed until handle() returns. */
typedef struct flynn_call {
  uint32_t struct_size;
  uint32_t fd_count;
  const int* fds;         /* borrowed, see R9 */
  flynn_bytes interface;  /* "flynn.store/1" */
  flynn_bytes method;     /* "Get" */
  flynn_bytes body;       /* one JSON document */
  uint64_t deadline_ns;   /* R8 */
  flynn_bytes caller;     /* filled by the host: the calling plugin's slot, or "operator"; cannot be forged */
  flynn_bytes request_id; /* opaque, for logs; may be empty */
} flynn_call;

/* Where the answer goes. Made by the caller; every function copies what it is given. A call answers with exactly one
 * body or one error. [any], but not after handle() has returned. */
typedef struct flynn_reply flynn_reply;
struct flynn_reply {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  void (*set_body)(flynn_reply*, flynn_bytes json);
  void (*add_fd)(flynn_reply*, int fd); /* takes ownership of fd */
  void (*set_error)(flynn_reply*, flynn_status code, flynn_bytes message, flynn_bytes details_json);
};

/* What the host offers an instance; valid until destroy() returns. After stop() has begun, call and listener answer
 * FLYNN_E_CANCELLED. Every function is [any]. */
typedef struct flynn_host flynn_host;
struct flynn_host {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor;
  void* ctx;
  /* Calls another plugin through the door. Blocks until answered or the deadline has passed (none given: 30 s). */
  flynn_status (*call)(const flynn_host*, const flynn_call*, flynn_reply*);
  /* One structured line. fields_json is an object or empty. Never put secrets here. */
  void (*log)(const flynn_host*, int32_t level, flynn_bytes event, flynn_bytes fields_json);
  /* A duplicate of the listening socket that the configuration names for this slot. The caller owns *fd.
   * Never shutdown(2) it: that would reach every duplicate. One of a range of ports is called NAME:PORT; it is bound when it is
   * lent for the first time, and shutdown(SHUT_RD) makes it refuse clients until it is lent again. */
  flynn_status (*listener)(const flynn_host*, flynn_bytes name, int* fd, flynn_error*);
  /* {"slot", "version", "node", "data_dir", "run_dir", "generation"}: data_dir (kept) and run_dir (gone after a reboot)
   * exist, belong to this slot alone, and are the same for every version of it. */
  void (*info)(const flynn_host*, flynn_reply*);
};

/* An instance. All lifecycle functions are [control]; handle is [any]. Order, and what each may do:
 *   create -> configure -> [import_state] -> start -> health* -> activate -> handle* -> quiesce -> [export_state]
 *          -> [hand_over*] -> drain -> stop -> destroy;     resume undoes quiesce when a swap is rolled back.
 * A function that a plugin does not need is NULL, except handle and destroy. */
typedef struct flynn_instance_vt {
  uint32_t struct_size;
  uint32_t reserved;
  /* Borrowed JSON object, already validated against the manifest's schema, defaults filled in. May be called again
   * on a started instance with a new document: apply it, or answer FLYNN_E_RESTART_REQUIRED and change nothing.
   * Before start it is the place to read ahead: in an exclusive swap the old instance still serves then, and nobody waits. */
  flynn_status (*configure)(void* self, flynn_bytes config_json, flynn_error*);
  /* State of the version that is being replaced, as its export_state gave it. */
  flynn_status (*import_state)(void* self, flynn_bytes state_json, const int* fds, uint32_t fd_count, flynn_error*);
  /* Warm up: open files, connect, load, start threads. Must not accept connections nor act on the world yet. */
  flynn_status (*start)(void* self, flynn_error*);
  /* FLYNN_OK when it could serve. Cheap; called about once a second. */
  flynn_status (*health)(void* self, flynn_error*);
  /* The slot is ours: accept from lent sockets, reconcile, lead. */
  flynn_status (*activate)(void* self, flynn_error*);
  /* Stop accepting and acting, finish or persist what is half done, return soon (200 ms). handle may still be called. */
  flynn_status (*quiesce)(void* self, flynn_error*);
  flynn_status (*resume)(void* self, flynn_error*);
  flynn_status (*export_state)(void* self, flynn_reply* state, flynn_error*);
  /* Let connections and streams that are in flight end; return when none is left or at the deadline. */
  flynn_status (*drain)(void* self, uint64_t deadline_ns, flynn_error*);
  /* End everything, join every thread. Anything but FLYNN_OK keeps the image mapped for good (a zombie). */
  flynn_status (*stop)(void* self, uint64_t deadline_ns, flynn_error*);
  void (*destroy)(void* self);
  /* One call. [any] */
  flynn_status (*handle)(void* self, const flynn_call*, flynn_reply*);

  /* Since 1.1: connections move to another instance of the slot with their sockets, in a swap or as a canary's share.
   * An instance whose two functions are NULL drains instead.
   *
   * hand_over gives connections away. share_permille 1000: every one that can move, now or once its running answer has
   * ended. 1 to 999: of those accepted from now on this share, also while the instance is active; 0: no more of them.
   * Returns when it has something to give (at most 128 descriptors), when nothing is left that could move, or at the
   * deadline with nothing. The reply is {"connections":[…],"left":N}: the list is for take_over of the same plugin and
   * opaque to the host, N counts those that may still move. What was given away is no longer the instance's.
   *
   * take_over receives them, body and descriptors as given (R9). Called after activate, or on a
   * canary after start. It takes all or, with an error, none. */
  flynn_status (*hand_over)(void* self, uint32_t share_permille, uint64_t deadline_ns, flynn_reply* connections,
                            flynn_error*);
  flynn_status (*take_over)(void* self, flynn_bytes connections_json, const int* fds, uint32_t fd_count, flynn_error*);
} flynn_instance_vt;

typedef struct flynn_plugin {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor;
  /* Makes one instance: allocate and remember `host`, nothing else; no thread, no I/O. Writes *self and *vt, which stay
   * valid until destroy(). Two instances may exist at once. [control] */
  flynn_status (*create)(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error*);
} flynn_plugin;

/* The only exported symbol. [any]; returns a static object. */
const flynn_plugin* flynn_plugin_entry_1(void);

#ifdef __cplusplus
}
#endif
#endif
