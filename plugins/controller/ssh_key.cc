#include "ssh_key.h"

#include <openssl/evp.h>

#include <array>
#include <sstream>
#include <vector>

#include "ident.h"

namespace flynn::controller {
namespace {

constexpr std::size_t kKeySizeMax = 16 * 1024;

std::string decode_base64(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0) return {};
  std::vector<unsigned char> out(text.size() / 4 * 3);
  int size =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  return std::string(reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(size) - padding);
}

bool is_known(const std::string& type) {
  for (const char* known :
       {"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}) {
    if (type == known) return true;
  }
  return false;
}

}  // namespace

Outcome<SshKey> parse_ssh_key(const std::string& line) {
  if (line.size() > kKeySizeMax) return validation("key", "is longer than 16 KiB");
  std::istringstream words(line);
  std::string type, encoded, comment, extra;
  words >> type >> encoded;
  std::getline(words >> std::ws, comment);
  if (comment.find_first_of("\r\n") != std::string::npos) return validation("key", "must be one line");
  if (std::getline(words, extra) && !extra.empty()) return validation("key", "must be one line");
  if (!is_known(type)) return validation("key", "is not an SSH public key of a known type");
  std::string blob = decode_base64(encoded);
  // The bytes begin with the type's name again: four bytes of length, then the name.
  bool matches = blob.size() > 4 + type.size() && static_cast<unsigned char>(blob[3]) == type.size() &&
                 blob.compare(4, type.size(), type) == 0;
  if (!matches) return validation("key", "is damaged: its bytes are not a key of type " + type);
  return SshKey{md5_hex(blob), type + " " + encoded, comment};
}

}  // namespace flynn::controller
