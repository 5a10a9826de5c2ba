// Whose plugins this node loads: the keys of trust.d, and what they say of a file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/json.h"
#include "node_config.h"
#include "plugin_signature.h"

namespace flynn::core {

/// A key of trust.d/NAME.pem. Lines above the key: "# a comment", and "plugins: NAME, PATTERN*" for what it may sign.
struct TrustedKey {
  std::string name;
  SigningKey key;
  std::vector<std::string> plugins;  // patterns of plugin names; empty: every plugin

  bool may_sign(const std::string& plugin) const;
};

struct TrustedKeys {
  bool guarded =
      false;  ///< the folder is there, so this node asks for signatures, even when its last key was taken away
  std::vector<TrustedKey> keys;
  std::vector<std::string> problems;  // of files that are no key, or that others than the operator may change
};

struct SignatureStatus {
  enum class State { valid, missing, unknown_key, other_plugin, wrong };
  State state = State::missing;
  std::string key_id, key_name;
  std::string words;     ///< what is so, why, and what to do about it
  bool refused = false;  ///< by the policy in force
  TrustPolicy policy = TrustPolicy::off;

  /// "valid", "missing" …
  std::string_view state_name() const;
  /// {"state","policy","refused"?,"key"?,"key_name"?,"words"?}
  json::object document() const;
};

/// Reads the folder anew: a key counts from the moment it lies there. A missing folder has no keys and guards nothing.
/// Thread: [any].
TrustedKeys read_trusted_keys(const std::filesystem::path& folder);
Result<TrustedKey> parse_trusted_key(const std::string& name, std::string_view text);

/// What the keys say of a file with this digest and plugin name; its signatures are `signatures`. Pure.
SignatureStatus judge_signatures(const std::vector<TrustedKey>& keys, const std::vector<PluginSignature>& signatures,
                                 const std::string& digest, const std::string& plugin);

/// Reads FILE.sig beside `file`, judges it, and applies the policy. `digest` must be of the very bytes that will be
/// mapped. Thread: [any].
SignatureStatus signature_status(const TrustConfig& trust, const std::filesystem::path& file, const std::string& digest,
                                 const std::string& plugin);

}  // namespace flynn::core
