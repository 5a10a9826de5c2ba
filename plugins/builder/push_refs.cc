#include "push_refs.h"

#include <optional>

namespace flynn::builder {
namespace {

bool is_object_id(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<DeployRef> choose_ref(const json::array& refs) {
  std::optional<DeployRef> chosen;
  for (const json::value& ref : refs) {
    if (!ref.is_array() || ref.get_array().size() != 3)
      return Error{Code::invalid_argument, "the push is not understood"};
    for (const json::value& word : ref.get_array()) {
      if (!word.is_string()) return Error{Code::invalid_argument, "the push is not understood"};
    }
    std::string commit(ref.get_array()[1].get_string()), name(ref.get_array()[2].get_string());
    if (!is_object_id(commit)) return Error{Code::invalid_argument, "the push is not understood"};
    if (commit == std::string(40, '0')) return Error{Code::invalid_argument, "Deleting branches is refused: " + name};
    if (name != "refs/heads/master" && name != "refs/heads/main") continue;
    if (chosen) return Error{Code::invalid_argument, "Push master or main, not both: each is deployed."};
    chosen = DeployRef{commit, name.substr(sizeof("refs/heads/") - 1)};
  }
  if (!chosen)
    return Error{
        Code::invalid_argument,
        "The push must include a change to the master branch to be deployed (or main): git push flynn HEAD:master"};
  return *chosen;
}

}  // namespace flynn::builder
