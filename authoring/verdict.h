// Verdict: what came of a check.
#pragma once

#include <string>
#include <utility>

namespace flynn::authoring {

struct Verdict {
  enum class Outcome { pass, fail, skip } outcome = Outcome::pass;
  std::string words;  // what failed, or why it could not be judged here; of a pass: figures
};

inline Verdict pass(std::string words = {}) { return {Verdict::Outcome::pass, std::move(words)}; }
inline Verdict fail(std::string words) { return {Verdict::Outcome::fail, std::move(words)}; }
inline Verdict skip(std::string words) { return {Verdict::Outcome::skip, std::move(words)}; }

}  // namespace flynn::authoring
