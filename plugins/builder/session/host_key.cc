#include "host_key.h"

#include <fcntl.h>
#include <libssh/libssh.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "flynn/sdk/unique_fd.h"

namespace flynn::builder {

Result<void> ensure_host_key(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  ssh_key key = nullptr;
  if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK)
    return Error{Code::internal, "libssh made no Ed25519 key"};
  std::string temporary = path + ".new";
  mode_t before = ::umask(0077);
  int status = ssh_pki_export_privkey_file(key, nullptr, nullptr, nullptr, temporary.c_str());
  ::umask(before);
  ssh_key_free(key);
  if (status != SSH_OK) return Error{Code::internal, "write the host key " + temporary};
  UniqueFd file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "write the host key " + path);
  }
  return {};
}

}  // namespace flynn::builder
