// flynn-blobstore-restore: adds the layers of an archive of a cluster to a node's blobs.
#include <cstdio>
#include <string_view>

#include "layer_restore.h"

int main(int argc, char** argv) {
  if (argc != 4 || std::string_view(argv[2]) != "--data-dir") {
    std::fputs("usage: flynn-blobstore-restore ARCHIVE --data-dir DIR   (the blobstore plugin's folder)\n", stderr);
    return 64;
  }
  const auto restored = flynn::blobstore::restore_layers(argv[1], argv[3]);
  if (!restored) {
    std::fprintf(stderr, "flynn-blobstore-restore: %s: no layer was added\n", restored.error().message.c_str());
    return 1;
  }
  std::printf("restored: %llu layers (%llu bytes); %llu were there\n", static_cast<unsigned long long>(restored->added),
              static_cast<unsigned long long>(restored->bytes), static_cast<unsigned long long>(restored->present));
  return 0;
}
