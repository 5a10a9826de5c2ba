// Hostile calls: documents that nobody should send, and a source of more of them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace flynn::authoring {

struct HostileBody {
  std::string what;
  std::string text;
};

/// Broken, huge, deep and odd documents, always the same ones.
std::vector<HostileBody> hostile_bodies();
/// A document made by chance from `example`: members of other types, missing, repeated, cut, with bytes changed.
std::string mutated(const std::string& example, std::mt19937_64& chance);

}  // namespace flynn::authoring
