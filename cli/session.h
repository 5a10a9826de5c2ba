/// One run of the client: which cluster, which app, and the way to the controller.
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "http.h"
#include "rcfile.h"
#include "result.h"

namespace flynn::cli {

struct SessionOptions {
  std::string app;      // -a
  std::string cluster;  // -c
};

/// Answers are found when first asked for, and kept. Borrows the streams.
class Session {
 public:
  Session(SessionOptions options, std::istream& in, std::ostream& out, std::ostream& err);

  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  /// The rc file, for commands that change it.
  Result<RcFile> rc() const { return load_rc(rc_path()); }
  /// Cluster of the git remote that names the app (with -c only remotes of that cluster count), -c or FLYNN_CLUSTER,
  /// the default of the rc file.
  Result<Cluster> cluster();
  /// -a (a git remote's name stands for its app), FLYNN_APP, `git config flynn.remote`, the only remote below a
  /// cluster's GitURL.
  Result<std::string> app();
  /// "/apps/<app>" for paths.
  Result<std::string> app_path();
  Result<ControllerClient*> controller();

  /// Asks on stderr; true for "y" or "yes".
  bool confirm(const std::string& question);

 private:
  struct Choice {
    std::string app;
    std::string cluster;  // set when a git remote said so
  };
  Result<Choice> choose();
  Result<Choice> choose_by_git() const;

  SessionOptions options_;
  std::istream& in_;
  std::ostream& out_;
  std::ostream& err_;
  std::optional<Choice> choice_;
  std::unique_ptr<ControllerClient> controller_;
};

}  // namespace flynn::cli
