// The test controller's PUT /domain: as the real one, with events for its begin and its end.
#include "documents.h"
#include "test_controller.h"

namespace flynn::cli::testing {

void TestController::fail_migration(const std::string& why) {
  const std::lock_guard lock(mutex_);
  migration_failure_ = why;
}

TestController::Reply TestController::answer_domain(const json::object& body) {
  forget_closed_streams();
  if (event_streams_.empty()) return {400, R"({"code":"validation_error","message":"no event stream is open"})"};
  if (text_of(body, "old_domain") != domain_)
    return {400, R"({"code":"validation_error","message":"old_domain is not the cluster's"})"};
  const std::string id = "migration-" + std::to_string(next_id_++);
  const json::object begun{{"id", id},
                           {"domain", text_of(body, "domain")},
                           {"old_domain", domain_},
                           {"tls_cert", {{"ca_cert", kNewCa}, {"cert", "c"}, {"pin", kNewPin}}}};
  json::object ended = begun;
  ended["finished_at"] = "2026-01-31T12:00:00Z";
  // Another's comes first: it must not be taken for ours.
  emit("domain_migration", "another", {{"domain_migration", {{"id", "another"}, {"finished_at", "x"}}}, {"error", ""}});
  emit("domain_migration", id, {{"domain_migration", begun}, {"error", ""}});
  const bool fails = !migration_failure_.empty();
  emit("domain_migration", id, {{"domain_migration", fails ? begun : ended}, {"error", migration_failure_}});
  if (!fails) domain_ = text_of(body, "domain");
  return {200, json::serialize(begun)};
}

}  // namespace flynn::cli::testing
