#include <fstream>
#include <ostream>
#include <sstream>

#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

std::string with_colons(const std::string& fingerprint) {
  std::string text;
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    if (i > 0 && i % 2 == 0) text += ':';
    text += fingerprint[i];
  }
  return text;
}

std::string without_colons(std::string fingerprint) {
  std::erase(fingerprint, ':');
  return fingerprint;
}

Result<int> list(Session& session, const Arguments&) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto keys = (*client)->get("/keys");
  if (!keys) return keys.error();
  Table table({"FINGERPRINT", "COMMENT"});
  for (const json::value& key : as_array(*keys)) {
    table.add({with_colons(text_of(as_object(key), "fingerprint")), text_of(as_object(key), "comment")});
  }
  session.show(table);
  return 0;
}

Result<std::string> read_key(const std::string& named) {
  std::vector<std::string> candidates;
  if (!named.empty()) {
    candidates = {named};
  } else {
    for (const char* name : {".ssh/id_ed25519.pub", ".ssh/id_ecdsa.pub", ".ssh/id_rsa.pub"})
      candidates.push_back(home_path(name));
  }
  for (const std::string& path : candidates) {
    std::ifstream file(path);
    if (!file) continue;
    std::ostringstream text;
    text << file.rdbuf();
    if (text.str().find("PRIVATE KEY") != std::string::npos) {
      return failure(path + " is a private key", "Name the public one, which ends in .pub. Nothing was sent.");
    }
    return text.str();
  }
  if (!named.empty()) return failure("read " + named + ": cannot open the file").as(ErrorCode::kFileUnreadable);
  return failure("no public key found in ~/.ssh (id_ed25519.pub, id_ecdsa.pub, id_rsa.pub)",
                 "Make one with 'ssh-keygen -t ed25519', or name a file: flynn key add <file>");
}

Result<int> add(Session& session, const Arguments& arguments) {
  const auto key = read_key(arguments.at(0));
  if (!key) return key.error();
  const auto client = session.controller();
  if (!client) return client.error();
  Change change{{"allow the public key to push"}, "", ""};
  if (auto begun = session.begin(change); !begun) return begun.error();
  const auto added = (*client)->post("/keys", json::object{{"key", *key}});
  if (!added) return added.error();
  const std::string print = with_colons(text_of(as_object(*added), "fingerprint"));
  change.undo = "flynn key remove " + print;
  if (auto begun = session.begin(change); !begun) return begun.error();
  return session.done("Key " + print + " added.\n", {{"fingerprint", print}});
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string fingerprint = without_colons(arguments.at(0));
  auto begun = session.begin(
      {{"forbid key " + with_colons(fingerprint) + " to push"}, "flynn key add <file of that public key>", ""});
  if (!begun) return begun.error();
  const auto removed = (*client)->remove("/keys/" + percent_encode(fingerprint));
  if (!removed) return removed.error();
  return session.done("Key " + with_colons(fingerprint) + " removed.\n", {{"fingerprint", with_colons(fingerprint)}});
}

}  // namespace

CommandList key_commands() {
  return {
      {"key", "", "List the SSH keys that may push", {}, 0, 0, list},
      {"key add", "[<file>]", "Allow a public key (default: yours in ~/.ssh)", {}, 0, 1, add},
      {"key remove", "<fingerprint>", "Forbid a key", {}, 1, 1, remove},
  };
}

}  // namespace flynn::cli
