#include "forever.h"

#include <mutex>
#include <vector>

namespace flynn::core {

void keep_forever(std::shared_ptr<void> object) {
  // Never destroyed itself: exit handlers run while zombies may.
  static auto* mutex = new std::mutex;
  static auto* kept = new std::vector<std::shared_ptr<void>>;
  const std::lock_guard lock(*mutex);
  kept->push_back(std::move(object));
}

}  // namespace flynn::core
