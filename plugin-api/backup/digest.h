/// SHA-256 and SHA-512 of bytes as they come by.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace flynn::backup {

/// Thread: one at a time.
class Digest {
 public:
  enum class Kind { sha256, sha512 };
  explicit Digest(Kind kind);
  void update(const void* bytes, std::size_t size);
  /// Lower-case hex; once.
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace flynn::backup
