/// One run of the client: which cluster, which app, and the way to the controller.
#pragma once

#include <boost/json/object.hpp>
#include <iosfwd>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "http.h"
#include "rcfile.h"
#include "result.h"
#include "table.h"

namespace flynn::cli {

struct SessionOptions {
  std::string app;      // -a
  std::string cluster;  // -c
  bool json = false;
  bool plan = false;
};

/// What a command is about to do to the world, in words.
struct Change {
  std::vector<std::string> steps;  // "set A=1 in app web"
  std::string undo;                // the command line that takes it back; empty: `permanent` says why there is none
  std::string permanent;
};

/// Answers are found when first asked for, and kept. Borrows the streams.
class Session {
 public:
  Session(SessionOptions options, std::istream& in, std::ostream& out, std::ostream& err);

  /// Text for people; with --json what is written here is no output, but kept (see finish).
  std::ostream& out() { return options_.json ? kept_ : out_; }
  /// The program's stdout whatever the options: for streams, such as a log.
  std::ostream& raw_out() { return out_; }
  std::ostream& raw_err() { return err_; }
  std::ostream& err() { return options_.json ? kept_ : err_; }
  [[nodiscard]] bool json() const { return options_.json; }
  [[nodiscard]] bool plan() const { return options_.plan; }

  /// Prints a table, or with --json an array of objects whose members are the headings in lower case.
  void show(const Table& table);
  /// Prints a document as JSON. One for each command.
  void show(const boost::json::value& document);

  /// To be called before anything is changed. With --plan shows the change and fails with kPlanned; else remembers how
  /// to undo it. A controller or admin socket that is asked for a change without it refuses with --plan.
  Status begin(Change change);
  /// Confirms what `begin` announced: `words` (may be empty) on `out` and the undo line on stderr, or with --json the
  /// document {"changed", "undo"} with `facts` added. Answers 0.
  int done(const std::string& words, boost::json::object facts = {});
  int done(std::ostream& out, const std::string& words, boost::json::object facts = {});
  /// What was written to raw_out is the whole answer.
  void shown() { shown_ = true; }
  /// After a command: with --json and nothing shown, what it wrote as {"output": [lines]}.
  void finish();

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
  std::ostringstream kept_;
  Change change_;
  bool shown_ = false;
  std::optional<Choice> choice_;
  std::unique_ptr<ControllerClient> controller_;
};

}  // namespace flynn::cli
