// Has a GNU_UNIQUE symbol: the image could never be unmapped.
#include "flynn/plugin.h"

template <typename T>
struct Shared {
  static inline int count = 0;
};

extern "C" const flynn_plugin* flynn_plugin_entry_1(void) { return Shared<int>::count++ == 0 ? nullptr : nullptr; }
