/// What one release changes against another, and who made it. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace flynn::cli {

/// Set in the meta of releases that this program makes: "user@host".
inline constexpr std::string_view kMadeBy = "flynn.by";

struct ReleaseChange {
  std::string what;    // "env DATABASE_URL", "web memory", "image"
  std::string before;  // empty: it was added
  std::string after;   // empty: it was removed
};

/// In the order of their names. `from` may be empty: everything is new then.
std::vector<ReleaseChange> diff_releases(const boost::json::object& from, const boost::json::object& to);

/// "image, +env A, -web memory" with at most `most` changes named; "no change" for none.
std::string summary_of(const std::vector<ReleaseChange>& changes, std::size_t most);

/// "git push 1a2b3c4d" when the commit is another one than in the release before, else who is named in it, or "".
std::string maker_of(const boost::json::object& release, const boost::json::object& before);

}  // namespace flynn::cli
