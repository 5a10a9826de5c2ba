// The contract of flynn.store/1 as tests over a call: the same for the object and for an image behind the ABI.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "store_world.h"

namespace flynn::store {

struct ContractTest {
  std::string_view name;
  void (*run)(const CallFunction& call);
};

/// Each works in keys below its own name, so one store may serve all of them.
const std::vector<ContractTest>& store_contract();

}  // namespace flynn::store
