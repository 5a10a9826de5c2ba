#include "store_contract.h"

namespace flynn::store {
namespace {

class StoreContract : public testing::TestWithParam<ContractTest> {};

TEST_P(StoreContract, HoldsForTheObject) {
  StoreWorld world;
  world.open();

  GetParam().run([&](std::string_view method, const json::object& body) { return world.call(method, body); });
}

INSTANTIATE_TEST_SUITE_P(Store, StoreContract, testing::ValuesIn(store_contract()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace flynn::store
