/// Which JSON type the members of a document from outside must have, where it is kept as it was sent.
///
/// What is kept is answered again, so a member of another type would break typed clients of every later reader. As in
/// the original, null counts as absent and unknown members are no error. Pure. Thread: [any].
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "document.h"

namespace flynn::controller {

enum class MemberType { text, flag, integer, object, texts, objects };

struct MemberRule {
  std::string_view name;
  MemberType type;
};

/// The first member that breaks its rule, in words ("size must be an integer"); empty when there is none.
std::string wrong_member(const json::object& document, std::span<const MemberRule> rules);

/// The same for a process type of a release, with all that stands in it.
std::string wrong_member_of_process(const json::object& process);

}  // namespace flynn::controller
