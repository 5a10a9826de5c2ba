/* What the container of a test runs: says hello, or what the files have that are its arguments, at once; says again
 * what it is told, ends with its input or by a signal. With --greedy it says hello and takes 256 MiB when told a thing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int say(const char* text, long size) { return write(1, text, (size_t)size) == size; }

static int say_files(char** files) {
  char text[4096];
  long size = 0;
  for (; *files; ++files) {
    const int file = open(*files, O_RDONLY);
    const long got = file < 0 ? -1 : read(file, text + size, sizeof text - (size_t)size);
    if (got < 0) return 0;
    close(file);
    size += got;
  }
  return say(text, size);
}

static void take_memory(void) {
  for (int i = 0; i < 256; ++i) {
    volatile char* page = malloc(1 << 20);
    for (int at = 0; page && at < 1 << 20; at += 4096) page[at] = 1;
  }
}

int main(int argc, char** argv) {
  char chunk[256];
  long got = 0;
  const int greedy = argc > 1 && strcmp(argv[1], "--greedy") == 0;
  if (argc > 1 && !greedy ? !say_files(argv + 1) : !say("hello\n", 6)) return 1;
  while ((got = read(0, chunk, sizeof chunk)) > 0) {
    if (greedy) take_memory();
    if (!say(chunk, got)) return 1;
  }
  return 3;
}
