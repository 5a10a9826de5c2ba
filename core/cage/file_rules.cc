#include "file_rules.h"

namespace flynn::core {
namespace {

// Libraries and what they read: zones, certificates, locales. Programs lie beside them, so they are named by folder.
constexpr const char* kLibraries[] = {"/lib",           "/lib32",     "/lib64",
                                      "/usr/lib",       "/usr/lib32", "/usr/lib64",
                                      "/usr/local/lib", "/usr/share", "/usr/local/share/ca-certificates"};
constexpr const char* kPrograms[] = {"/bin", "/sbin", "/usr"};
// The linker, the clock, TLS. Each by its name: /etc has what is nobody's business.
constexpr const char* kSettings[] = {
    "/etc/ld.so.cache",  "/etc/ld.so.conf",      "/etc/ld.so.conf.d",    "/etc/ld.so.preload",
    "/etc/alternatives", "/etc/localtime",       "/etc/timezone",        "/etc/ssl",
    "/etc/pki",          "/etc/crypto-policies", "/etc/ca-certificates", "/etc/mime.types"};
constexpr const char* kNames[] = {"/etc/resolv.conf", "/etc/hosts",    "/etc/host.conf", "/etc/nsswitch.conf",
                                  "/etc/gai.conf",    "/etc/services", "/etc/protocols"};

}  // namespace

std::vector<FileRule> file_rules(const CageWalls& walls) {
  std::vector<FileRule> rules{{walls.data_dir, FileUse::write}, {walls.run_dir, FileUse::write},
                              {"/proc", FileUse::read},         {"/sys/devices/system/cpu", FileUse::read},
                              {"/dev/null", FileUse::device},   {"/dev/zero", FileUse::device},
                              {"/dev/random", FileUse::read},   {"/dev/urandom", FileUse::read}};
  for (const char* path : kLibraries) rules.push_back({path, FileUse::run});
  for (const char* path : kSettings) rules.push_back({path, FileUse::read});
  if (walls.exec)
    for (const char* path : kPrograms) rules.push_back({path, FileUse::run});
  if (walls.net)
    for (const char* path : kNames) rules.push_back({path, FileUse::read});
  for (const auto& path : walls.may_read) rules.push_back({path, FileUse::run});
  for (const auto& path : walls.may_write) rules.push_back({path, FileUse::write});
  return rules;
}

}  // namespace flynn::core
