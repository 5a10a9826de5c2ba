#include "rcfile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace flynn::cli {
namespace {

struct Member {
  const char* key;
  std::string Cluster::*field;
};

// Flynn's rc file has the Go field names as keys.
constexpr Member kMembers[] = {
    {"Name", &Cluster::name},          {"Key", &Cluster::key},
    {"TLSPin", &Cluster::tls_pin},     {"ControllerURL", &Cluster::controller_url},
    {"GitURL", &Cluster::git_url},     {"ImageURL", &Cluster::image_url},
    {"OAuthURL", &Cluster::oauth_url}, {"DockerPushURL", &Cluster::docker_push_url},
};

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) continue;  // nothing that we keep has control characters
    out += c;
  }
  return out + "\"";
}

bool same_url(const std::string& a, const std::string& b) { return !a.empty() && a == b; }

bool conflicts(const Cluster& a, const Cluster& b) {
  return a.name == b.name || same_url(a.controller_url, b.controller_url) || same_url(a.git_url, b.git_url) ||
         same_url(a.image_url, b.image_url);
}

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("write " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(fd) != 0) return failure("sync " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  return Done{};
}

}  // namespace

const Cluster* RcFile::find(std::string_view name) const {
  const auto at = std::find_if(clusters.begin(), clusters.end(), [&](const Cluster& c) { return c.name == name; });
  return at == clusters.end() ? nullptr : &*at;
}

const Cluster* RcFile::default_cluster() const {
  if (const Cluster* named = find(default_name)) return named;
  return clusters.empty() ? nullptr : &clusters.front();
}

bool RcFile::remove(std::string_view name) {
  if (std::erase_if(clusters, [&](const Cluster& c) { return c.name == name; }) == 0) return false;
  if (default_name == name) default_name = clusters.empty() ? "" : clusters.front().name;
  return true;
}

std::string home_path(std::string_view below) {
  const char* home = std::getenv("HOME");
  return (std::filesystem::path(home != nullptr ? home : "/") / below).string();
}

std::string rc_path() {
  const char* named = std::getenv("FLYNNRC");
  return named != nullptr && *named != '\0' ? named : home_path(".flynnrc");
}

Result<RcFile> parse_rc(std::string_view text) {
  try {
    const toml::table table = toml::parse(text);
    RcFile rc;
    rc.default_name = table["default"].value_or(std::string());
    const toml::array* entries = table["cluster"].as_array();
    if (entries == nullptr) return rc;
    for (const toml::node& node : *entries) {
      const toml::table* entry = node.as_table();
      if (entry == nullptr) return failure("[[cluster]] is not a table");
      Cluster cluster;
      for (const Member& member : kMembers) cluster.*member.field = (*entry)[member.key].value_or(std::string());
      rc.clusters.push_back(std::move(cluster));
    }
    return rc;
  } catch (const toml::parse_error& error) {
    std::ostringstream why;
    why << "line " << error.source().begin.line << ": " << error.description();
    return failure(why.str()).as(ErrorCode::kBadRcfile);
  }
}

std::string format_rc(const RcFile& rc) {
  std::string out;
  if (!rc.default_name.empty()) out += "default = " + quote(rc.default_name) + "\n";
  for (const Cluster& cluster : rc.clusters) {
    out += "\n[[cluster]]\n";
    for (const Member& member : kMembers) {
      const std::string& value = cluster.*member.field;
      if (!value.empty()) out += std::string("  ") + member.key + " = " + quote(value) + "\n";
    }
  }
  return out;
}

Result<RcFile> load_rc(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return RcFile{};
    return failure("read " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  }
  std::ostringstream text;
  text << file.rdbuf();
  auto rc = parse_rc(text.str());
  if (!rc)
    return rc.error().context("read " + path).advise("Correct the file, or move it away and run 'flynn cluster add'.");
  return rc;
}

Status write_private_file(const std::string& path, std::string_view content) {
  std::error_code code;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, code);
  const std::string temporary = path + ".new." + std::to_string(getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failure("create " + temporary + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  Status written = write_all(fd, content, temporary);
  close(fd);
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = failure("replace " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  }
  if (!written) unlink(temporary.c_str());
  return written;
}

Status save_rc(const std::string& path, const RcFile& rc) { return write_private_file(path, format_rc(rc)); }

Status add_cluster(RcFile& rc, const Cluster& cluster, bool force) {
  std::vector<Cluster*> in_the_way;
  for (Cluster& known : rc.clusters) {
    if (conflicts(known, cluster)) in_the_way.push_back(&known);
  }
  if (in_the_way.empty()) {
    rc.clusters.push_back(cluster);
    return Done{};
  }
  if (!force) {
    const Cluster& known = *in_the_way.front();
    const std::string next = "Run it again with -f to replace that entry.";
    if (known.name == cluster.name)
      return failure("Cluster \"" + cluster.name + "\" already exists in " + rc_path(), next).as(ErrorCode::kNameTaken);
    return failure("A cluster with the URL \"" + known.controller_url + "\" already exists in " + rc_path() + ": \"" +
                       known.name + "\"",
                   next)
        .as(ErrorCode::kNameTaken);
  }
  if (in_the_way.size() > 1) {
    return failure("The given cluster's name and URLs conflict with multiple existing clusters.",
                   "Remove them with 'flynn cluster remove <name>' first.");
  }
  if (rc.default_name == in_the_way.front()->name) rc.default_name = cluster.name;
  *in_the_way.front() = cluster;
  return Done{};
}

}  // namespace flynn::cli
