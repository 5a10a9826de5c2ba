/* The ends of a plugin's static objects, kept in its own image and run when that is unloaded.
 *
 * Linked into every plugin by flynn_add_plugin, hidden: the compiler's calls of __cxa_atexit in this image come here. The C
 * library's own list would grow for as long as the host lives. It takes an unloaded image's entries out, but uses a place
 * again only when all after it are free, and a swap loads the next version before it unloads the last one.
 *
 * Thread: any; static objects in functions are made by whoever comes first. */
#include <pthread.h>
#include <stdlib.h>

typedef void (*destructor)(void*);

struct block {
  struct block* older;
  size_t count;
  struct {
    destructor run;
    void* object;
  } entries[30];
};

static struct block first;
static struct block* newest = &first;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((visibility("hidden"))) int __cxa_atexit(destructor run, void* object, void* image);

int __cxa_atexit(destructor run, void* object, void* image) {
  (void)image; /* always this one */
  pthread_mutex_lock(&mutex);
  if (newest->count == sizeof newest->entries / sizeof newest->entries[0]) {
    struct block* more = calloc(1, sizeof *more);
    if (more == NULL) {
      pthread_mutex_unlock(&mutex);
      return -1;
    }
    more->older = newest;
    newest = more;
  }
  newest->entries[newest->count].run = run;
  newest->entries[newest->count].object = object;
  ++newest->count;
  pthread_mutex_unlock(&mutex);
  return 0;
}

/* The last made is the first to end. A destructor may make further static objects: they end next. */
__attribute__((destructor)) static void end_static_objects(void) {
  for (;;) {
    pthread_mutex_lock(&mutex);
    if (newest->count == 0 && newest->older != NULL) {
      struct block* empty = newest;
      newest = empty->older;
      free(empty);
    }
    if (newest->count == 0) {
      pthread_mutex_unlock(&mutex);
      return;
    }
    --newest->count;
    const destructor run = newest->entries[newest->count].run;
    void* object = newest->entries[newest->count].object;
    pthread_mutex_unlock(&mutex);
    run(object);
  }
}
