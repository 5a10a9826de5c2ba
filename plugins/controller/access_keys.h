/// Access keys: passwords of the API with a name and a scope, in the store by their digest alone.
///
/// A key is "flynn_ID_SECRET", both of 32 hex digits, so that a request reads one key of the store and a revoked key
/// is refused by the very next request. The keys of the configuration (or the file `auth_key`) are administrators'.
/// Decision 0019.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api_error.h"
#include "flynn/sdk/result.h"
#include "store.h"

namespace flynn::controller {

/// Who asks.
struct Identity {
  std::string id = "root";  // of the access key; "root" of the configured ones
  std::string name = "root";
  std::string app;  // id of the only app; empty: all
  bool read_only = false;

  bool is_admin() const { return app.empty() && !read_only; }
};

/// The passwords that come from the configuration or the key file. Thread: [any].
class RootKeys {
 public:
  /// `path`: the file that the key came from; empty: the configuration.
  void set(std::vector<std::string> keys, std::string path);
  bool matches(std::string_view password) const;
  /// The key in the file `path`, which is made when there is none.
  Result<void> use_file(const std::string& path);
  /// Reads the file anew if it has changed: another instance may have rotated the key.
  void reload();
  /// A new random key in the file; the old one is worth nothing from now on.
  Result<std::string> rotate();

 private:
  /// What tells one content of the file from the next, which is another file with its name.
  struct Stamp {
    std::uint64_t inode = 0;
    std::int64_t size = -1, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const std::string& path);
  Result<void> read_file();

  mutable std::mutex mutex_;
  std::vector<std::string> keys_;
  std::string path_;
  Stamp stamp_;  // of the file that keys_ are from
};

/// Nobody when the password is unknown, revoked or expired. Asks the store at most once.
Outcome<std::optional<Identity>> identify(Store& store, const RootKeys& root, std::string_view authorization);

/// "flynn_ID_SECRET" and the digest that is kept.
struct NewSecret {
  std::string key, hash;
};
NewSecret make_secret(const std::string& id);

inline std::string access_key_key(std::string_view id) { return "access-keys/" + std::string(id); }

}  // namespace flynn::controller
