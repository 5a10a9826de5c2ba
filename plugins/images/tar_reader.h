// TarReader: the entries of an uncompressed tar, in order, by libarchive. Unpacks nothing.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <cstdint>
#include <memory>

#include "flynn/sdk/result.h"

namespace flynn::images {

/// Names are bytes to us; libarchive converts them by the thread's locale, which in a process without one takes only
/// ASCII. UTF-8 for this thread as long as it lives.
class Utf8Thread {
 public:
  Utf8Thread() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  ~Utf8Thread() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8Thread(const Utf8Thread&) = delete;
  Utf8Thread& operator=(const Utf8Thread&) = delete;

 private:
  locale_t locale_, before_ = nullptr;
};

/// Thread: one. Borrows the descriptor.
class TarReader {
 public:
  static Result<TarReader> open(int fd);

  /// The next entry, valid until the next call; null at the end.
  Result<archive_entry*> next();
  /// How many entries came before this one.
  std::uint64_t number() const { return count_ - 1; }
  /// Up to `size` bytes of the entry's content; 0 at its end.
  Result<std::size_t> read(char* to, std::size_t size);

 private:
  struct Free {
    void operator()(archive* handle) const { archive_read_free(handle); }
  };
  std::unique_ptr<Utf8Thread> utf8_ = std::make_unique<Utf8Thread>();
  std::unique_ptr<archive, Free> archive_;
  std::uint64_t count_ = 0;
};

/// libarchive's own words.
std::string archive_words(archive* handle);

}  // namespace flynn::images
