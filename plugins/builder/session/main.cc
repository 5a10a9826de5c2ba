// flynn-git-session: everything of a push that meets a stranger's bytes, each in a process of its own without
// privileges.
//   ssh HOST_KEY UID          the SSH server of one connection (fd 3), control socket (fd 4)
//   http UID                  the HTTP server of one connection (fd 3), control socket (fd 4)
//   receive REPOSITORY UID MAX   git receive-pack on standard input and output; the hook's socket is fd 3
//   rpc REPOSITORY UID MAX SERVICE advertise|answer   the same for one request of HTTP, also git-upload-pack
//   export REPOSITORY QUARANTINE COMMIT UID   the commit's tree as tar on standard output
//   keygen PATH               the host key, once
//   (as pre-receive)          the hook
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "confinement.h"
#include "host_key.h"
#include "http_session.h"
#include "pre_receive.h"
#include "ssh_session.h"
#include "tree_export.h"

namespace {

using namespace flynn;
using namespace flynn::builder;

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

unsigned number(const std::string& text) { return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10)); }

Result<void> confine(const std::string& repository, const std::string& uid) {
  if (auto shown = show_repository(repository); !shown) return shown;
  return drop_privileges(number(uid));
}

// git silently skips a hook that it may not execute: the push would succeed and deploy nothing.
Result<void> find_hook(const std::string& uid) {
  const std::string hook = std::string(kRepositoryMount) + "/hooks/pre-receive";
  if (::access(hook.c_str(), X_OK) == 0) return {};
  const auto why = errno_error(errno, "run the deploy hook as uid " + uid);
  std::error_code ignored;
  return Error{Code::failed_precondition, why.message + ": every folder above " +
                                              std::filesystem::read_symlink(hook, ignored).string() +
                                              " on the node must be open to others (chmod o+x)"};
}

int run_git(const std::string& repository, const std::string& uid, const std::string& bytes_max,
            const std::string& service, const std::vector<const char*>& flags) {
  if (auto done = confine(repository, uid); !done) return fail(done.error());
  if (service == "receive-pack")
    if (auto found = find_hook(uid); !found) return fail(found.error());
  std::string limit = "receive.maxInputSize=" + bytes_max;
  std::vector<const char*> arguments{
      "git",          "-c", limit.c_str(), "-c", "receive.denyNonFastForwards=false", "-c", "gc.autoDetach=false",
      service.c_str()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.push_back(kRepositoryMount);
  arguments.push_back(nullptr);
  const char* environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                               "GIT_CONFIG_NOSYSTEM=1",
                               "GIT_CONFIG_GLOBAL=/dev/null",
                               "HOME=/",
                               "LC_ALL=C.UTF-8",
                               "FLYNN_HOOK_FD=3",
                               nullptr};
  std::signal(SIGPIPE, SIG_DFL);
  ::execve("/usr/bin/git", const_cast<char* const*>(arguments.data()), const_cast<char* const*>(environment));
  return fail(errno_error(errno, "start git"));
}

int export_commit(const std::string& repository, const std::string& quarantine, const std::string& commit,
                  const std::string& uid) {
  if (auto done = confine(repository, uid); !done) return fail(done.error());
  std::string pushed = quarantine.empty() ? "" : std::string(kRepositoryMount) + "/objects/" + quarantine;
  auto report = export_tree(kRepositoryMount, pushed, commit, STDOUT_FILENO);
  if (!report) return fail(report.error());
  std::fprintf(stderr, "{\"files\":%zu,\"submodules\":%zu}\n", report->files, report->submodules);
  return 0;
}

}  // namespace

int main(int count, char** values) {
  std::signal(SIGPIPE, SIG_IGN);
  if (std::filesystem::path(values[0]).filename() == "pre-receive") return run_pre_receive_hook();
  std::vector<std::string> words(values + 1, values + count);
  if (words.size() == 3 && words[0] == "ssh") {
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    ::fcntl(4, F_SETFD, FD_CLOEXEC);
    return serve_ssh_session(UniqueFd(3), UniqueFd(4), words[1], number(words[2]));
  }
  if (words.size() == 2 && words[0] == "http") {
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    ::fcntl(4, F_SETFD, FD_CLOEXEC);
    return serve_http_session(UniqueFd(3), UniqueFd(4), number(words[1]));
  }
  if (words.size() == 4 && words[0] == "receive") return run_git(words[1], words[2], words[3], "receive-pack", {});
  if (words.size() == 6 && words[0] == "rpc") {
    const std::string service = words[4] == "git-upload-pack" ? "upload-pack" : "receive-pack";
    std::vector<const char*> flags{"--stateless-rpc"};
    if (words[5] == "advertise") flags.push_back("--advertise-refs");
    return run_git(words[1], words[2], words[3], service, flags);
  }
  if (words.size() == 5 && words[0] == "export") return export_commit(words[1], words[2], words[3], words[4]);
  if (words.size() == 2 && words[0] == "keygen") {
    auto made = ensure_host_key(words[1]);
    return made ? 0 : fail(made.error());
  }
  std::fprintf(stderr, "flynn-git-session is started by the builder plugin only\n");
  return 64;
}
