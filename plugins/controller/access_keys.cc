#include "access_keys.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include "auth.h"
#include "document.h"
#include "ident.h"

namespace flynn::controller {
namespace {

constexpr std::string_view kPrefix = "flynn_";
constexpr std::size_t kHexSize = 32;

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

bool same(std::string_view a, std::string_view b) {
  return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_past(const json::object& key, std::string_view member_name) {
  auto at = parse_time(text_of(key, member_name));
  return at && *at <= now_ms();
}

}  // namespace

void RootKeys::set(std::vector<std::string> keys, std::string path) {
  std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  path_ = std::move(path);
  stamp_ = {};
}

RootKeys::Stamp RootKeys::stamp_of(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  return {file.st_ino, file.st_size, file.st_ctim.tv_sec * 1'000'000'000LL + file.st_ctim.tv_nsec};
}

/// The stamp first: a file that is replaced after it is read again.
Result<void> RootKeys::read_file() {
  const Stamp stamp = stamp_of(path_);
  if (stamp.size >= 0 && stamp == stamp_) return {};
  auto key = read_or_make_key(path_);
  if (!key) return key.error();
  keys_ = {std::move(*key)};
  stamp_ = stamp;
  return {};
}

Result<void> RootKeys::use_file(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (path != path_) stamp_ = {};
  path_ = path;
  return read_file();
}

bool RootKeys::matches(std::string_view password) const {
  std::lock_guard lock(mutex_);
  return matches_any(password, keys_);
}

void RootKeys::reload() {
  std::lock_guard lock(mutex_);
  if (path_.empty()) return;
  (void)read_file();  // else the key of before goes on
}

Result<std::string> RootKeys::rotate() {
  std::lock_guard lock(mutex_);
  if (path_.empty())
    return Error{Code::failed_precondition,
                 "the keys are set in the configuration of the controller (auth_keys); change them there"};
  auto key = write_new_key(path_);
  if (key) keys_ = {*key};
  return key;
}

NewSecret make_secret(const std::string& id) {
  std::string secret = random_hex(kHexSize / 2);
  std::string plain_id = id;
  std::erase(plain_id, '-');
  return {std::string(kPrefix) + plain_id + "_" + secret, sha256_hex(secret)};
}

Outcome<std::optional<Identity>> identify(Store& store, const RootKeys& root, std::string_view authorization) {
  std::string password = password_of(authorization);
  if (password.empty()) return std::optional<Identity>{};
  if (root.matches(password)) return std::optional<Identity>(Identity{});
  std::string_view rest = password;
  if (!rest.starts_with(kPrefix) || rest.size() != kPrefix.size() + 2 * kHexSize + 1) return std::optional<Identity>{};
  rest.remove_prefix(kPrefix.size());
  std::string_view id = rest.substr(0, kHexSize);
  std::string_view secret = rest.substr(kHexSize + 1);
  auto uuid = canonical_uuid(id);
  if (rest[kHexSize] != '_' || !uuid || !is_hex(secret)) return std::optional<Identity>{};
  auto found = store.get(access_key_key(*uuid));
  if (!found) return found.error();
  if (!*found) return std::optional<Identity>{};
  const json::object& key = (*found)->value;
  std::string hash = sha256_hex(secret);
  bool current = same(hash, text_of(key, "_hash"));
  bool previous = same(hash, text_of(key, "_previous_hash")) && !is_past(key, "previous_until");
  if ((!current && !previous) || is_past(key, "expires_at")) return std::optional<Identity>{};
  return std::optional<Identity>(Identity{*uuid, text_of(key, "name"), text_of(key, "app"), flag_of(key, "read_only")});
}

}  // namespace flynn::controller
