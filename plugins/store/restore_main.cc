// flynn-store-restore: makes the store of a stopped node from the archive of a cluster.
#include <cstdio>
#include <string_view>

#include "restore.h"

namespace flynn::store {
namespace {

constexpr const char* kUsage =
    "usage: flynn-store-restore ARCHIVE --data-dir DIR [--key FILE] [--key-file FILE] [--force] [--check]\n"
    "  --data-dir DIR   the store plugin's folder, e.g. /var/lib/flynn/plugins/store\n"
    "  --key FILE       store.key of the node that the archive is of; put in place when this node has none\n"
    "  --key-file FILE  the store's `key_file`, when the configuration names another than store.key beside DIR\n"
    "  --force          set a store that is there aside\n"
    "  --check          verify everything, change nothing\n";

bool parse(int argc, char** argv, RestoreOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::string* value = word == "--data-dir"   ? &options.folder
                         : word == "--key"      ? &options.given_key
                         : word == "--key-file" ? &options.key_file
                                                : nullptr;
    if (value != nullptr) {
      if (++i == argc) return false;
      *value = argv[i];
    } else if (word == "--force") {
      options.state = RestoreOptions::State::set_aside;
    } else if (word == "--check") {
      options.extent = RestoreOptions::Extent::check;
    } else if (word.starts_with('-') || !options.archive.empty()) {
      return false;
    } else {
      options.archive = word;
    }
  }
  return !options.archive.empty() && !options.folder.empty();
}

int run(const RestoreOptions& options) {
  auto restored = restore_store(options);
  if (!restored) {
    std::fprintf(stderr, "flynn-store-restore: %s\n", restored.error().message.c_str());
    return 1;
  }
  const bool checked = options.extent == RestoreOptions::Extent::check;
  std::printf("%s: the store of %s as of %s, revision %lld, %lld keys\n", checked ? "whole" : "restored",
              string_or(restored->manifest.document, "domain").c_str(),
              string_or(restored->manifest.document, "created_at").c_str(), static_cast<long long>(restored->revision),
              static_cast<long long>(restored->keys));
  if (!restored->set_aside.empty()) std::printf("the store that was there: %s\n", restored->set_aside.c_str());
  return 0;
}

}  // namespace
}  // namespace flynn::store

int main(int argc, char** argv) {
  flynn::store::RestoreOptions options;
  if (!flynn::store::parse(argc, argv, options)) {
    std::fputs(flynn::store::kUsage, stderr);
    return 64;
  }
  return flynn::store::run(options);
}
