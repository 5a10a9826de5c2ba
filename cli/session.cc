#include "session.h"

#include <cstdlib>
#include <istream>
#include <ostream>

#include "documents.h"
#include "git_repository.h"
#include "names.h"

namespace flynn::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

struct RemoteApp {
  std::string remote;
  std::string app;
  std::string cluster;
};

/// The remotes of this folder that lead to an app of a known cluster (`only`: of that one).
Result<std::vector<RemoteApp>> remote_apps(const GitRepository& repository, const RcFile& rc, const std::string& only) {
  const auto remotes = repository.remotes();
  if (!remotes) return remotes.error();
  std::vector<RemoteApp> found;
  for (const GitRemote& remote : *remotes) {
    for (const Cluster& cluster : rc.clusters) {
      if (!only.empty() && cluster.name != only) continue;
      const std::string app = app_of_remote(cluster.git_url, remote.url);
      if (!app.empty()) found.push_back({remote.name, app, cluster.name});
    }
  }
  return found;
}

Error no_app() {
  return usage_error("no app found, run from a repo with a flynn remote or specify one with -a",
                     "'flynn apps' lists them; 'flynn create' makes one.")
      .as(ErrorCode::kNoAppChosen);
}

Error several_apps(const std::vector<RemoteApp>& found) {
  std::string what =
      "Multiple apps listed in git remotes, please specify one with the global -a option to disambiguate.";
  for (const RemoteApp& remote : found) what += "\n  " + remote.remote + "  " + remote.app;
  return usage_error(what, "flynn -a <app> …").as(ErrorCode::kNoAppChosen);
}

json::value undo_value(const Change& change) { return change.undo.empty() ? json::value() : json::value(change.undo); }

void print_undo(std::ostream& out, const Change& change) {
  if (!change.undo.empty()) out << "undo: " << change.undo << '\n';
  if (change.undo.empty() && !change.permanent.empty()) out << "no undo: " << change.permanent << '\n';
}

}  // namespace

Session::Session(SessionOptions options, std::istream& in, std::ostream& out, std::ostream& err)
    : options_(std::move(options)), in_(in), out_(out), err_(err) {}

Result<Session::Choice> Session::choose_by_git() const {
  const auto rc = load_rc(rc_path());
  if (!rc) return rc.error();
  auto repository = GitRepository::discover(".");
  if (!repository) {
    if (!options_.app.empty()) return Choice{options_.app, ""};
    return repository.error().kind == Failure::kNotFound ? no_app() : repository.error();
  }
  const auto found = remote_apps(*repository, *rc, options_.cluster);
  if (!found) return found.error();
  const std::string wanted = !options_.app.empty() ? options_.app : repository->config_value("flynn.remote");
  if (!wanted.empty()) {
    for (const RemoteApp& remote : *found) {
      if (remote.remote == wanted) return Choice{remote.app, remote.cluster};
    }
    if (!options_.app.empty()) return Choice{options_.app, ""};
    return usage_error("git config flynn.remote is \"" + wanted + "\", which is no remote of a known cluster",
                       "Correct it with 'git config flynn.remote NAME', or name the app with -a.")
        .as(ErrorCode::kNoAppChosen);
  }
  if (found->empty()) return no_app();
  if (found->size() > 1) return several_apps(*found);
  return Choice{found->front().app, found->front().cluster};
}

Result<Session::Choice> Session::choose() {
  if (choice_) return *choice_;
  const std::string named = environment("FLYNN_APP");
  Result<Choice> choice = options_.app.empty() && !named.empty() ? Result<Choice>(Choice{named, ""}) : choose_by_git();
  if (choice) choice_ = *choice;
  return choice;
}

Result<std::string> Session::app() {
  const auto choice = choose();
  if (!choice) return choice.error();
  // An id is a name by the same rule, so one check covers both.
  if (auto named = check_app_name(choice->app); !named) return named.error();
  return choice->app;
}

Result<std::string> Session::app_path() {
  const auto name = app();
  if (!name) return name.error();
  return "/apps/" + percent_encode(*name);
}

Result<Cluster> Session::cluster() {
  const auto rc = load_rc(rc_path());
  if (!rc) return rc.error();
  std::string wanted;
  if (const auto choice = choose()) wanted = choice->cluster;
  if (wanted.empty()) wanted = !options_.cluster.empty() ? options_.cluster : environment("FLYNN_CLUSTER");
  const Cluster* found = wanted.empty() ? rc->default_cluster() : rc->find(wanted);
  if (found != nullptr) return *found;
  if (rc->clusters.empty()) {
    return failure(
               "no clusters configured",
               "Add one with 'flynn cluster add <name> <domain> <key>'; the bootstrap of a cluster prints that line.")
        .as(ErrorCode::kNoCluster);
  }
  return usage_error("unknown cluster \"" + wanted + "\"", "'flynn cluster' lists the known ones.")
      .as(ErrorCode::kUnknownCluster);
}

Result<ControllerClient*> Session::controller() {
  if (!controller_) {
    const auto chosen = cluster();
    if (!chosen) return chosen.error();
    controller_ = std::make_unique<ControllerClient>(Endpoint{chosen->controller_url, chosen->key, chosen->tls_pin});
    controller_->set_read_only(options_.plan);
  }
  return controller_.get();
}

void Session::show(const Table& table) {
  if (options_.json) return show(table.document());
  table.print(out_);
}

void Session::show(const json::value& document) {
  out_ << json::serialize(document) << '\n';
  shown_ = true;
}

Status Session::begin(Change change) {
  if (!options_.plan) {
    change_ = std::move(change);
    return Done{};
  }
  if (options_.json) {
    show(json::object{{"plan", json::value_from(change.steps)}, {"undo", undo_value(change)}});
  } else {
    for (const std::string& step : change.steps) out_ << "would " << step << '\n';
    if (change.steps.empty()) out_ << "nothing would change\n";
    print_undo(out_, change);
  }
  return Error{"", "", Failure::kPlanned};
}

int Session::done(const std::string& words, json::object facts) { return done(err(), words, std::move(facts)); }

int Session::done(std::ostream& out, const std::string& words, json::object facts) {
  if (options_.json) {
    facts["changed"] = json::value_from(change_.steps);
    facts["undo"] = undo_value(change_);
    show(facts);
    return 0;
  }
  out << words << std::flush;
  print_undo(err_, change_);
  return 0;
}

void Session::finish() {
  if (!options_.json || shown_) return;
  json::array lines;
  std::istringstream text(kept_.str());
  for (std::string line; std::getline(text, line);) lines.emplace_back(line);
  show(json::object{{"output", std::move(lines)}});
}

bool Session::confirm(const std::string& question) {
  if (options_.plan) return true;  // nothing will happen
  err_ << question << " (yes/no): " << std::flush;
  std::string answer;
  std::getline(in_, answer);
  return answer == "y" || answer == "yes" || answer == "Y" || answer == "YES";
}

}  // namespace flynn::cli
