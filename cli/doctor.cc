#include "doctor.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "admin_socket.h"
#include "deploy.h"
#include "documents.h"
#include "error_report.h"
#include "names.h"

namespace flynn::cli {
namespace {

using enum Finding::Grade;

constexpr double kDiskLowShare = 0.10;

class Examination {
 public:
  explicit Examination(Session& session) : session_(session) {}

  std::vector<Finding> run() {
    check_git();
    if (check_rc_file() && check_cluster() && check_controller()) check_app();
    check_node();
    return std::move(findings_);
  }

 private:
  void good(std::string check, std::string detail) {
    findings_.push_back({kOk, std::move(check), std::move(detail), "", ErrorCode::kUnknown});
  }
  void warn(std::string check, std::string detail, std::string remedy, ErrorCode code) {
    findings_.push_back({kWarning, std::move(check), std::move(detail), std::move(remedy), code});
  }
  bool bad(std::string check, const Error& error) {
    const Error whole = completed(error);
    findings_.push_back({kFailed, std::move(check), whole.what, whole.next, whole.code});
    return false;
  }

  void check_git() {
    const char* path = std::getenv("PATH");
    std::string rest = path != nullptr ? path : "";
    while (!rest.empty()) {
      const auto colon = rest.find(':');
      if (access((rest.substr(0, colon) + "/git").c_str(), X_OK) == 0) return good("git", "found in PATH");
      rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    }
    warn("git", "no git in PATH: nothing can be pushed", "Install git.", ErrorCode::kCommandNotFound);
  }

  bool check_rc_file() {
    const auto rc = session_.rc();
    if (!rc) return bad("rc file", rc.error());
    struct stat facts {};
    if (stat(rc_path().c_str(), &facts) == 0 && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
      warn("rc file", rc_path() + " may be read by others, and holds keys", "chmod 600 " + shell_quoted(rc_path()),
           ErrorCode::kPermissionDenied);
    } else {
      good("rc file", std::to_string(rc->clusters.size()) + " clusters in " + rc_path());
    }
    return true;
  }

  bool check_cluster() {
    const auto cluster = session_.cluster();
    if (!cluster) return bad("cluster", cluster.error());
    good("cluster", cluster->name + " at " + cluster->controller_url);
    return true;
  }

  bool check_controller() {
    const auto client = session_.controller();
    if (!client) return bad("controller", client.error());
    const auto status = (*client)->get("/.well-known/status");
    if (!status) return bad("controller", status.error());
    const json::object& data = object_of(as_object(*status), "data");
    if (const std::string state = text_of(data, "status"); state != "healthy")
      return bad("controller", failure("it says \"" + state + "\": " + text_of(data, "detail"),
                                       "On the node: flynn plugin list, and the log of flynn-host.")
                                   .as(ErrorCode::kControllerFailed));
    good("controller", "healthy, wire " + text_of(data, "version"));
    const auto apps = (*client)->get("/apps");
    if (!apps) return bad("key", apps.error());
    good("key", "accepted; " + std::to_string(as_array(*apps).size()) + " apps");
    return true;
  }

  void check_app() {
    const auto app = session_.app();
    if (!app) return;  // doctor is of use without one
    const auto client = session_.controller();
    const auto release = current_release(**client, *app);
    if (!release) return static_cast<void>(bad("app", release.error()));
    if (release->empty()) return warn("app", *app + " has no release", "git push flynn master", ErrorCode::kNoRelease);
    good("app", *app + ", release " + text_of(*release, "id"));
    check_jobs(**client, *app, *release);
    check_routes(**client, *app);
  }

  void check_jobs(ControllerClient& client, const std::string& app, const json::object& release) {
    const std::string path = "/apps/" + percent_encode(app);
    const auto formation = client.get(path + "/formations/" + percent_encode(text_of(release, "id")));
    const auto jobs = client.get(path + "/jobs");
    if (!jobs) return static_cast<void>(bad("jobs", jobs.error()));
    std::map<std::string, std::int64_t> up;
    for (const json::value& job : as_array(*jobs))
      if (text_of(as_object(job), "state") == "up") ++up[text_of(as_object(job), "type")];
    const json::object& wanted = formation ? object_of(as_object(*formation), "processes") : json::object();
    for (const auto& entry : wanted) {
      const std::string type(entry.key());
      const std::int64_t count = number_of(wanted, type);
      const std::string detail = std::to_string(up[type]) + " of " + std::to_string(count) + " jobs up";
      if (up[type] >= count) {
        good(type, detail);
      } else {
        bad(type, failure(detail, "flynn -a " + app + " log -n 50")
                      .saying(last_words(client, app, text_of(release, "id")))
                      .as(ErrorCode::kDeploymentFailed));
      }
    }
    if (wanted.empty()) warn("jobs", "nothing is scaled up", "flynn -a " + app + " scale web=1", ErrorCode::kNoRelease);
  }

  void check_routes(ControllerClient& client, const std::string& app) {
    const auto routes = client.get("/apps/" + percent_encode(app) + "/routes");
    if (!routes) return static_cast<void>(bad("routes", routes.error()));
    const auto closed = client.get("/apps/" + percent_encode(app) + "/maintenance");
    if (closed && flag_of(as_object(*closed), "maintenance"))
      return warn("routes", "closed for maintenance", "flynn -a " + app + " maintenance off", ErrorCode::kConflict);
    if (as_array(*routes).empty())
      return warn("routes", "no route leads to " + app, "flynn -a " + app + " route add http <domain>",
                  ErrorCode::kNotFound);
    good("routes", std::to_string(as_array(*routes).size()) + " lead to " + app);
  }

  /// Only where a flynn-host runs, or its data lies, on this machine.
  void check_node() {
    const std::string path = admin_socket_path();
    if (access(path.c_str(), F_OK) != 0) return;
    const auto answer = admin_request(path, "plugin.list", {});
    if (!answer) return static_cast<void>(bad("node", answer.error()));
    std::size_t count = 0;
    for (const json::value& value : array_of(as_object(*answer), "plugins")) {
      const json::object& plugin = as_object(value);
      ++count;
      const std::string state = text_of(plugin, "state");
      if (state == "up") continue;
      bad("plugin " + text_of(plugin, "slot"),
          failure("it is " + state + (text_of(plugin, "note").empty() ? "" : ": " + text_of(plugin, "note")),
                  "flynn plugin start " + text_of(plugin, "slot")));
    }
    good("node", std::to_string(count) + " plugins");
    check_disk("/var/lib");
  }

  void check_disk(const std::string& folder) {
    struct statvfs facts {};
    if (statvfs(folder.c_str(), &facts) != 0 || facts.f_blocks == 0) return;
    const double share = static_cast<double>(facts.f_bavail) / static_cast<double>(facts.f_blocks);
    const std::string detail =
        std::to_string(static_cast<int>(share * 100)) + "% of the disk of " + folder + " is free";
    if (share >= kDiskLowShare) return good("disk", detail);
    warn("disk", detail, "df -h; 'flynn release delete' frees layers that nothing needs.", ErrorCode::kDiskFull);
  }

  Session& session_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine(Session& session) { return Examination(session).run(); }

}  // namespace flynn::cli
