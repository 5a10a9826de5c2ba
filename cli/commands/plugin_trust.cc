#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <ostream>
#include <sstream>

#include "../names.h"
#include "../session.h"
#include "families.h"
#include "flynn/sdk/unique_fd.h"
#include "plugin_signature.h"
#include "sha256.h"

namespace flynn::cli {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return failure("read " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// A new file; with O_EXCL an existing one is an error.
Status write_file(const std::string& path, std::string_view text, int flags, mode_t mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode));
  if (!fd)
    return failure("make " + path + ": " + std::strerror(errno), "Nothing was written over.")
        .as(ErrorCode::kFileUnreadable);
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0) return failure("write " + path + ": " + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return Done{};
}

Result<int> keygen(Session& session, const Arguments& arguments) {
  const std::string name = arguments.at(0);
  const auto key = core::SigningKey::generate();
  if (!key.ok()) return failure(key.error().message);
  const std::string scope = arguments.has("plugins") ? "plugins: " + arguments.value("plugins") + "\n" : "";
  if (scope.find('\n') + 1 < scope.size()) return usage_error("--plugins: one line of names, with commas between");
  auto begun = session.begin({{"write " + name + ".key.pem and " + name + ".pem"},
                              "rm " + shell_quoted(name + ".key.pem") + " " + shell_quoted(name + ".pem"),
                              ""});
  if (!begun) return begun.error();
  if (auto written = write_file(name + ".key.pem", key->private_pem(), O_EXCL, 0600); !written) return written.error();
  if (auto written = write_file(name + ".pem", scope + key->public_pem(), O_EXCL, 0644); !written)
    return written.error();
  return session.done("key " + key->id() + "\n  " + name + ".key.pem  is private: keep it away from the nodes\n  " +
                      name + ".pem      goes into trust.d of every node that shall trust it\n");
}

Result<core::SigningKey> private_key(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0 && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return failure(path + " may be read by others, so it is no secret key any more",
                   "chmod 600 it, or make another one.");
  const auto pem = read_file(path);
  if (!pem) return pem.error();
  auto key = core::SigningKey::private_from_pem(*pem);
  if (!key.ok()) return failure(path + ": " + key.error().message);
  return *key;
}

/// Signatures of other keys for the very same file stay.
std::vector<core::PluginSignature> others(const std::string& path, const core::PluginSignature& mine) {
  const auto text = read_file(path);
  if (!text) return {};
  auto signatures = core::parse_signatures(*text);
  if (!signatures.ok()) return {};
  std::erase_if(*signatures, [&](const auto& one) { return one.digest != mine.digest || one.key_id == mine.key_id; });
  return *signatures;
}

Result<int> sign(Session& session, const Arguments& arguments) {
  const std::string file = arguments.at(1);
  const auto key = private_key(arguments.at(0));
  if (!key) return key.error();
  const auto digest = core::sha256_of_file(file);
  if (!digest.ok()) return failure(digest.error().message);
  const auto signature = key->sign(*digest);
  if (!signature.ok()) return failure(signature.error().message);
  const std::string path = core::signature_path(file).string();
  auto signatures = others(path, *signature);
  signatures.push_back(*signature);
  auto begun = session.begin({{"sign " + file + " with key " + signature->key_id}, "rm " + shell_quoted(path), ""});
  if (!begun) return begun.error();
  if (auto written = write_file(path + ".new", core::signatures_text(signatures), O_TRUNC, 0644); !written)
    return written.error();
  if (::rename((path + ".new").c_str(), path.c_str()) != 0)
    return failure("rename " + path + ".new: " + std::strerror(errno));
  const std::string more =
      signatures.size() > 1 ? ", beside " + std::to_string(signatures.size() - 1) + " more" : std::string();
  return session.done(path + ": signed with key " + signature->key_id + more + "\n", {{"signature", path}});
}

}  // namespace

CommandList plugin_trust_commands() {
  return {
      {"plugin sign",
       "<key.pem> <file.so>",
       "Sign a plugin's file; the signature goes to <file.so>.sig",
       {},
       2,
       2,
       sign},
      {"plugin keygen",
       "<name>",
       "Make a key for signing plugins: <name>.key.pem, and <name>.pem for trust.d",
       {{0, "plugins", "names", "the plugins that it may sign, with commas and * (default: every one)"}},
       1,
       1,
       keygen},
  };
}

}  // namespace flynn::cli
