#include "diagnosis.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace flynn::cli {
namespace {

struct Row {
  std::string_view pattern;  // lower case
  Diagnosis diagnosis;
};

using enum ErrorCode;

constexpr Diagnosis kMemory{kOutOfMemory, "The job used more memory than its limit allows, and the kernel ended it.",
                            "flynn limit set <type> memory=1GB"};
constexpr Diagnosis kFull{kDiskFull, "There is no room left on the disk.",
                          "df -h on the node; 'flynn limit' shows temp_disk, 'flynn release delete' frees layers."};
constexpr Diagnosis kArch{kWrongArchitecture, "The program was built for another processor, or is no program.",
                          "Build it for this machine (uname -m), or give a script a first line such as #!/bin/sh."};
constexpr Diagnosis kLibrary{kMissingLibrary, "A shared library that the program needs is not in the image.",
                             "Link it statically, or add the library to the app; 'flynn run ldd <program>' lists all."};
constexpr Diagnosis kCommand{kCommandNotFound, "The command of the process type is not in the image.",
                             "Correct the line in the Procfile; 'flynn run ls' shows what is there."};
constexpr Diagnosis kPort{kPortNotBound, "The process runs, but nothing listens on the port that it was given.",
                          "Listen on 0.0.0.0 and the port in $PORT; 'flynn log -t web' shows what it does instead."};
constexpr Diagnosis kProcfile{kBadProcfile, "The Procfile can't be read.",
                              "One line a process type: '<type>: <command>', e.g. 'web: ./server'."};
constexpr Diagnosis kPack{kNoBuildpack, "No buildpack recognises the files that were pushed.",
                          "Add what one looks for (package.json, requirements.txt, go.mod …), or set BUILDPACK_URL."};
constexpr Diagnosis kDatabase{kDatabaseUnreachable, "The database does not accept the app's connection.",
                              "'flynn resource' lists the app's databases, 'flynn pg psql' tries one."};
constexpr Diagnosis kCapacity{kNoCapacity, "No node has room for the job, or none has the tags that it asks for.",
                              "'flynn scale' shows what is asked for; lower it, change the tags, or add a node."};
constexpr Diagnosis kTrust{kCertificateNotTrusted, "The certificate is not signed by an authority this machine trusts.",
                           "Add the cluster again with its pin: flynn cluster add -f -p <pin> <name> <domain> <key>"};
constexpr Diagnosis kTaken{kPortTaken, "Another program or route has that port.",
                           "Choose another one; 'flynn route' and 'ss -ltnp' show who has it."};

// Order matters: what is special stands before what is general.
constexpr Row kRows[] = {
    {"out of memory", kMemory},
    {"oom-kill", kMemory},
    {"oom kill", kMemory},
    {"oomkilled", kMemory},
    {"memory limit", kMemory},
    {"cannot allocate memory", kMemory},
    {"no space left", kFull},
    {"disk quota exceeded", kFull},
    {"disk is full", kFull},
    {"exec format error", kArch},
    {"wrong elf class", kArch},
    {"error while loading shared libraries", kLibrary},
    {"cannot open shared object file", kLibrary},
    {"version `glibc", kLibrary},
    {"too many open files",
     {kTooManyFiles, "The process has as many files and sockets open as its limit allows.",
      "flynn limit set <type> max_fd=20000, or close what is done with."}},
    {"address already in use", kTaken},
    {"port is taken", kTaken},
    {"procfile", kProcfile},
    {"no buildpack", kPack},
    {"unable to select a buildpack", kPack},
    {"could not detect", kPack},
    {"password authentication failed", kDatabase},
    {"could not connect to server", kDatabase},
    {"connection to server at", kDatabase},
    {"does not answer on port", kPort},
    {"does not listen", kPort},
    {"not listening", kPort},
    {"port not bound", kPort},
    {"never came up", kPort},
    {"health check", kPort},
    {"no node", kCapacity},
    {"no host", kCapacity},
    {"no fitting", kCapacity},
    {"not enough memory", kCapacity},
    {"layer not found",
     {kLayerMissing, "A layer of the image is not in the blobstore any more.",
      "Push the app again; 'flynn release' shows which releases need it."}},
    {"missing layer",
     {kLayerMissing, "A layer of the image is not in the blobstore any more.",
      "Push the app again; 'flynn release' shows which releases need it."}},
    {"tls pin", {kCertificatePinMismatch, "", "Compare the pin with the one that the cluster's bootstrap printed."}},
    {"does not match the pin",
     {kCertificatePinMismatch, "", "Compare the pin with the one that the cluster's bootstrap printed."}},
    {"certificate verif", kTrust},
    {"unable to get local issuer", kTrust},
    {"self-signed", kTrust},
    {"certificate", {kBadCertificate, "", "openssl x509 -in <file> -noout -dates -subject shows what it holds."}},
    {"build failed",
     {kBuildFailed, "The build of the push ended with an error; the running release was not touched.",
      "git push flynn master shows the build again; its last lines tell which step failed."}},
    {"command not found", kCommand},
    {"executable file not found", kCommand},
    {"executable file `", kCommand},
    {": not found", kCommand},
    {"no such file or directory", kCommand},
    {"node is down", {kNodeDown, "", "'flynn doctor' shows which node does not answer."}},
    {"host is down", {kNodeDown, "", "'flynn doctor' shows which node does not answer."}},
    {"permission denied", {kPermissionDenied, "", "Check owner and mode of the file; a script needs chmod +x."}},
    {"exit status", {kAppCrashed, "", "flynn log -n 50 shows more of what it printed."}},
    {"exited with status", {kAppCrashed, "The process ended by itself at its start.", "flynn log -n 50 shows more."}},
    {"failed to start", {kAppCrashed, "The process ended before it was ready.", "flynn log -n 50 shows more."}},
};

}  // namespace

std::optional<Diagnosis> diagnose(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Row& row : kRows) {
    if (lower.find(row.pattern) != std::string::npos) return row.diagnosis;
  }
  return std::nullopt;
}

}  // namespace flynn::cli
