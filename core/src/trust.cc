#include "trust.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {
namespace {

namespace fs = std::filesystem;
using State = SignatureStatus::State;

constexpr std::size_t kTrustedKeysMax = 64;
constexpr std::size_t kSmallFileBytesMax = 64u << 10;

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

Result<std::vector<std::string>> patterns_of(std::string_view text) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto pattern = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (pattern.empty()) return Error{Code::invalid_argument, "\"plugins:\" names plugins, with commas between"};
    patterns.emplace_back(pattern);
  }
  if (patterns.empty()) return Error{Code::invalid_argument, "\"plugins:\" names no plugin"};
  return patterns;
}

// Nobody waits for a pipe that somebody put there.
Result<std::string> read_small(const fs::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat facts {};
  if (!fd || ::fstat(fd.get(), &facts) != 0) return errno_error(errno, "open " + file.string());
  if (!S_ISREG(facts.st_mode)) return Error{Code::invalid_argument, file.string() + " is not a regular file"};
  std::string text(kSmallFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read " + file.string());
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  if (size > kSmallFileBytesMax) return Error{Code::invalid_argument, file.string() + " is larger than 64 KiB"};
  return text;
}

// Whoever may write a key decides what this node runs.
Result<void> only_the_operators(const fs::path& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return errno_error(errno, path.string());
  if (facts.st_uid != 0 && facts.st_uid != ::geteuid())
    return Error{Code::permission_denied, path.string() + " belongs to another user: chown it to root"};
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error{Code::permission_denied, path.string() + " may be written by others: chmod go-w it"};
  return {};
}

Result<TrustedKey> read_key(const fs::path& file) {
  if (auto ours = only_the_operators(file); !ours) return ours.error();
  auto text = read_small(file);
  if (!text) return text.error();
  auto key = parse_trusted_key(file.stem().string(), *text);
  if (!key) return key.error().context(file.string());
  return key;
}

std::string_view policy_name(TrustPolicy policy) {
  if (policy == TrustPolicy::required) return "required";
  return policy == TrustPolicy::warn ? "warn" : "off";
}

bool refuses(TrustPolicy policy, State state) {
  if (state == State::valid || policy == TrustPolicy::off) return false;
  return policy == TrustPolicy::required || state == State::wrong;
}

SignatureStatus say(State state, const PluginSignature& signature, std::string words) {
  SignatureStatus status;
  status.state = state;
  status.key_id = signature.key_id;
  status.words = std::move(words);
  return status;
}

// What one signature is worth.
SignatureStatus judge_one(const std::vector<TrustedKey>& keys, const PluginSignature& signature,
                          const std::string& digest, const std::string& plugin) {
  const auto key =
      std::find_if(keys.begin(), keys.end(), [&](const auto& one) { return one.key.id() == signature.key_id; });
  if (key == keys.end())
    return say(State::unknown_key, signature,
               "it is signed by key " + signature.key_id +
                   ", which is not installed: if you trust its owner, put the "
                   "public key into trust.d");
  if (!key->key.verifies(signature, digest)) {
    const bool other_file = signature.digest != digest;
    return say(State::wrong, signature,
               other_file ? "its signature by " + key->name + " is for another file (SHA-256 " +
                                signature.digest.substr(0, 12) + "…, this one is " + digest.substr(0, 12) +
                                "…): the file was changed after it was signed, or the .sig belongs to another build; "
                                "get both again, or sign this build"
                          : "its signature does not verify with the key " + key->name +
                                ": the .sig was changed; get file and .sig again from whoever signed it");
  }
  auto status = say(State::valid, signature, {});
  if (!key->may_sign(plugin))
    status = say(State::other_plugin, signature,
                 "key " + key->name + " may not sign the plugin " + plugin +
                     " (\"plugins:\" in its .pem): have it signed by another key, or add the name there");
  status.key_name = key->name;
  return status;
}

}  // namespace

bool TrustedKey::may_sign(const std::string& plugin) const {
  return plugins.empty() || std::any_of(plugins.begin(), plugins.end(), [&](const std::string& pattern) {
           return ::fnmatch(pattern.c_str(), plugin.c_str(), 0) == 0;
         });
}

std::string_view SignatureStatus::state_name() const {
  switch (state) {
    case State::valid:
      return "valid";
    case State::missing:
      return "missing";
    case State::unknown_key:
      return "unknown key";
    case State::other_plugin:
      return "key of other plugins";
    case State::wrong:
      break;
  }
  return "wrong";
}

json::object SignatureStatus::document() const {
  json::object document{{"state", state_name()}, {"policy", policy_name(policy)}};
  if (refused) document["refused"] = true;
  if (!key_id.empty()) document["key"] = key_id;
  if (!key_name.empty()) document["key_name"] = key_name;
  if (!words.empty()) document["words"] = words;
  return document;
}

Result<TrustedKey> parse_trusted_key(const std::string& name, std::string_view text) {
  constexpr std::string_view kPlugins = "plugins:", kBegin = "-----BEGIN ";
  std::vector<std::string> plugins;
  // Strict: a misspelt "plugins:" must not become a key for everything.
  for (auto rest = text; !rest.starts_with(kBegin);) {
    if (rest.empty()) return Error{Code::invalid_argument, "it has no public key in PEM"};
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (!line.starts_with(kPlugins))
      return Error{Code::invalid_argument, "the line \"" + std::string(line.substr(0, 40)) +
                                               "\" is neither a comment (#) nor \"plugins: NAME, …\""};
    auto patterns = patterns_of(line.substr(kPlugins.size()));
    if (!patterns) return patterns.error();
    plugins.insert(plugins.end(), patterns->begin(), patterns->end());
  }
  auto key = SigningKey::public_from_pem(text);
  if (!key) return key.error();
  return TrustedKey{name, std::move(*key), std::move(plugins)};
}

TrustedKeys read_trusted_keys(const fs::path& folder) {
  TrustedKeys found;
  std::error_code failure;
  if (folder.empty() || !fs::is_directory(folder, failure)) return found;
  found.guarded = true;
  if (auto ours = only_the_operators(folder); !ours) {
    found.problems.push_back(ours.error().message);
    return found;
  }
  for (fs::directory_iterator files(folder, failure), end; !failure && files != end; files.increment(failure)) {
    if (files->path().extension() != ".pem") continue;
    if (found.keys.size() == kTrustedKeysMax) {
      found.problems.push_back(folder.string() + " has more than 64 keys");
      break;
    }
    auto key = read_key(files->path());
    if (key)
      found.keys.push_back(std::move(*key));
    else
      found.problems.push_back(key.error().message);
  }
  if (failure) found.problems.push_back(folder.string() + ": " + failure.message());
  return found;
}

SignatureStatus judge_signatures(const std::vector<TrustedKey>& keys, const std::vector<PluginSignature>& signatures,
                                 const std::string& digest, const std::string& plugin) {
  // One good signature is enough; of the others the most alarming is told.
  std::vector<SignatureStatus> judged;
  for (const auto& signature : signatures) judged.push_back(judge_one(keys, signature, digest, plugin));
  for (const auto state : {State::valid, State::wrong, State::other_plugin, State::unknown_key})
    for (auto& status : judged)
      if (status.state == state) return status;
  SignatureStatus none;
  none.words = "it is not signed: there is no .sig beside it; sign it with 'flynn plugin sign KEY.pem FILE.so'";
  return none;
}

SignatureStatus signature_status(const TrustConfig& trust, const fs::path& file, const std::string& digest,
                                 const std::string& plugin) {
  const auto known = read_trusted_keys(trust.dir);
  SignatureStatus status;
  const auto sig = signature_path(file);
  std::error_code failure;
  if (fs::exists(sig, failure)) {
    auto text = read_small(sig);
    auto signatures = text ? parse_signatures(*text) : Result<std::vector<PluginSignature>>(text.error());
    status = signatures ? judge_signatures(known.keys, *signatures, digest, plugin)
                        : say(State::wrong, {},
                              "its .sig is no signature (" + signatures.error().message +
                                  "): get it again from whoever signed it, or sign this build");
    if (signatures && signatures->empty())
      status.words = "it is not signed: its .sig is empty; sign it with 'flynn plugin sign KEY.pem FILE.so'";
  } else {
    status = judge_signatures(known.keys, {}, digest, plugin);
  }
  status.policy = trust.policy;
  if (trust.policy == TrustPolicy::automatic) status.policy = known.guarded ? TrustPolicy::required : TrustPolicy::off;
  status.refused = refuses(status.policy, status.state);
  if (status.refused && known.keys.empty() && known.problems.empty())
    status.words += "; no key is installed in " + trust.dir.string() +
                    ": put one there, or set [trust] policy = \"off\" if signatures are not wanted";
  if (status.state != State::valid)
    for (const auto& problem : known.problems) status.words += "; a key is not heeded: " + problem;
  return status;
}

}  // namespace flynn::core
