// PUT /domain: the cluster gets another domain, on the real store.
#include "domain_migration.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <set>

#include "access_fixture_test.h"
#include "bootstrap.h"
#include "cluster_certificate.h"

namespace flynn::controller {
namespace {

constexpr const char* kOld = "flynn.localhost";
constexpr const char* kMove = R"({"domain":"new.example","old_domain":"flynn.localhost"})";

std::set<std::string> names_in(const std::string& pem) {
  std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::unique_ptr<X509, void (*)(X509*)> leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf.get(), NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::set<std::string> out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const ASN1_STRING* name = sk_GENERAL_NAME_value(names.get(), i)->d.dNSName;
    out.emplace(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name)),
                static_cast<std::size_t>(ASN1_STRING_length(name)));
  }
  return out;
}

bool signed_by(const std::string& pem, const std::string& authority) {
  const auto read = [](const std::string& text) {
    std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    return std::unique_ptr<X509, void (*)(X509*)>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  };
  const auto leaf = read(pem), issuer = read(authority);
  return X509_verify(leaf.get(), X509_get0_pubkey(issuer.get())) == 1;
}

/// The first `good` calls of the store pass; of all after that, or of that one's answer alone, nothing is heard.
class FaultyDoor : public Door {
 public:
  enum class Fault { lost_call, lost_answer };
  using Door::call;
  FaultyDoor(Door& inner, int good, Fault fault) : inner_(inner), good_(good), fault_(fault) {}
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>& fds) override {
    if (interface != "flynn.store/1" || calls_++ < good_) return inner_.call(interface, method, body, deadline, fds);
    if (calls_ == good_ + 1 && fault_ == Fault::lost_answer) (void)inner_.call(interface, method, body, deadline, fds);
    return Error{Code::unavailable, "the store is away"};
  }
  bool failed() const { return calls_ > good_; }

 private:
  Door& inner_;
  const int good_;
  const Fault fault_;
  int calls_ = 0;
};

class DomainMigration : public AccessTest {
 protected:
  DomainMigration() {
    context_.later = [this](const std::string&, std::function<void()> task) { tasks_.push_back(std::move(task)); };
    set_up();
  }

  void set_up() {
    const Verdict bad = bootstrap(context_);
    EXPECT_FALSE(bad) << bad->message;
  }
  void run_tasks() {
    for (const auto& task : std::exchange(tasks_, {})) task();
  }
  void migrate(const std::string& domain, const std::string& old_domain) {
    object("PUT", "/domain", R"({"domain":")" + domain + R"(","old_domain":")" + old_domain + R"("})");
    run_tasks();
  }
  json::array list(const std::string& target) {
    auto parsed = parse_json(ask(kRoot, "GET", target).body);
    return parsed && parsed->is_array() ? parsed->get_array() : json::array{};
  }
  /// "domain/path -> service" of each route of the app that is of that domain.
  std::set<std::string> routes_of(const std::string& app, const std::string& domain) {
    std::set<std::string> out;
    for (const json::value& route : list("/apps/" + app + "/routes")) {
      const std::string name = text_of(route.as_object(), "domain");
      if (is_of_domain(name, domain))
        out.insert(name + text_of(route.as_object(), "path") + " -> " + text_of(route.as_object(), "service"));
    }
    return out;
  }
  json::object stored(const std::string& key) {
    auto kv = context_.store.get(key);
    return kv && *kv ? (*kv)->value : json::object{};
  }
  /// Oldest first.
  std::vector<json::object> migration_events() {
    std::vector<json::object> out;
    for (const json::value& event : list("/events?object_types=domain_migration"))
      out.insert(out.begin(), object_of(event.as_object(), "data"));
    return out;
  }
  void expect_refused(const std::string& body, int status, const std::string& words) {
    const auto answer = ask(kRoot, "PUT", "/domain", body);
    EXPECT_EQ(answer.status, status) << body << answer.body;
    EXPECT_NE(answer.body.find(words), std::string::npos) << body << answer.body;
  }

  std::vector<std::function<void()>> tasks_;
};

TEST_F(DomainMigration, GivesEveryRouteItsSiblingAndLeavesTheOldOne) {
  object("POST", "/apps", R"({"name":"shop"})");
  object("POST", "/apps/shop/routes",
         R"({"type":"http","domain":"flynn.localhost","path":"/","service":"shop-web","drain_backends":true})");
  object("POST", "/apps/shop/routes",
         R"({"type":"http","domain":"flynn.localhost","path":"/api","service":"shop-api","sticky":true})");
  object("POST", "/apps/shop/routes",
         R"({"type":"http","domain":"shop.com","path":"/","service":"shop-web","drain_backends":true})");

  migrate("new.example", kOld);

  EXPECT_EQ(routes_of("shop", "new.example"),
            (std::set<std::string>{"shop.new.example/ -> shop-web", "new.example/ -> shop-web",
                                   "new.example/api/ -> shop-api"}));
  EXPECT_EQ(routes_of("shop", kOld).size(), 3u);
  EXPECT_EQ(routes_of("shop", "shop.com").size(), 1u);
  EXPECT_EQ(routes_of("controller", "new.example"),
            (std::set<std::string>{"controller.new.example/ -> controller", "git.new.example/ -> gitreceive",
                                   "images.new.example/ -> images"}));
  for (const json::value& route : list("/routes")) {
    EXPECT_EQ(flag_of(route.as_object(), "sticky"), text_of(route.as_object(), "path") == "/api/");
  }
}

TEST_F(DomainMigration, MakesNothingPublicThatWasNot) {
  object("POST", "/apps", R"({"name":"inner"})");
  const std::string route = text_of(list("/apps/inner/routes").at(0).as_object(), "id");
  ASSERT_EQ(ask(kRoot, "DELETE", "/apps/inner/routes/http/" + route).status, 200);

  migrate("new.example", kOld);

  EXPECT_EQ(list("/apps/inner/routes").size(), 0u);
}

TEST_F(DomainMigration, LeavesANameThatAnotherAppHas) {
  object("POST", "/apps", R"({"name":"shop"})");
  object("POST", "/apps", R"({"name":"thief"})");
  object("POST", "/apps/thief/routes",
         R"({"type":"http","domain":"shop.new.example","service":"thief-web","drain_backends":true})");

  migrate("new.example", kOld);

  EXPECT_EQ(routes_of("shop", "new.example").size(), 0u);
  EXPECT_EQ(routes_of("thief", "new.example").size(), 2u);
  EXPECT_EQ(migration_events().size(), 2u);
}

TEST_F(DomainMigration, ToADomainBelowTheOldOneAndBack) {
  object("POST", "/apps", R"({"name":"shop"})");

  migrate("apps.flynn.localhost", kOld);
  migrate(kOld, "apps.flynn.localhost");

  EXPECT_EQ(routes_of("shop", kOld),
            (std::set<std::string>{"shop.flynn.localhost/ -> shop-web", "shop.apps.flynn.localhost/ -> shop-web"}));
  EXPECT_EQ(routes_of("controller", kOld).size(), 6u);
  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), kOld);
}

TEST_F(DomainMigration, NewAppsAreInTheNewDomain) {
  migrate("new.example", kOld);

  object("POST", "/apps", R"({"name":"late"})");

  EXPECT_EQ(routes_of("late", "new.example").size(), 1u);
  EXPECT_EQ(routes_of("late", kOld).size(), 0u);
}

TEST_F(DomainMigration, TheCertificateIsForAllNamesByTheSameAuthority) {
  const auto begun = object("PUT", "/domain", kMove);
  EXPECT_EQ(text_of(stored("routes/certificate"), "domain"), kOld) << "the client's pin is good until the end";
  run_tasks();

  const auto certificate = stored("routes/certificate");
  const auto shown = object_of(begun, "tls_cert");
  EXPECT_EQ(names_in(text_of(certificate, "cert")),
            (std::set<std::string>{"new.example", "*.new.example", "flynn.localhost", "*.flynn.localhost"}));
  EXPECT_TRUE(signed_by(text_of(certificate, "cert"), ask(kRoot, "GET", "/ca-cert").body));
  EXPECT_EQ(text_of(shown, "ca_cert"), ask(kRoot, "GET", "/ca-cert").body);
  EXPECT_EQ(text_of(shown, "pin"), pin_of(text_of(certificate, "cert")));
  std::ifstream pin_file(door_.folder() / "tls_pin");
  std::string pin;
  ASSERT_TRUE(pin_file >> pin);
  EXPECT_EQ(pin, text_of(shown, "pin"));
}

TEST_F(DomainMigration, TellsOfItsBeginAndEndAndNeverTheKey) {
  const auto answer = ask(kRoot, "PUT", "/domain", kMove);
  run_tasks();

  const auto events = migration_events();
  ASSERT_EQ(events.size(), 2u);
  const auto begun = object_of(events[0], "domain_migration"), ended = object_of(events[1], "domain_migration");
  EXPECT_EQ(json::value(begun), parse_json(answer.body).value());
  EXPECT_FALSE(begun.contains("finished_at"));
  EXPECT_NE(text_of(ended, "finished_at"), "");
  EXPECT_EQ(text_of(ended, "id"), text_of(begun, "id"));
  EXPECT_EQ(text_of(ended, "old_domain"), kOld);
  EXPECT_EQ(text_of(events[1], "error"), "");
  const std::string all = answer.body + json::serialize(list("/events"));
  EXPECT_EQ(all.find("PRIVATE KEY"), std::string::npos);
  EXPECT_NE(text_of(stored("routes/certificate"), "key").find("PRIVATE KEY"), std::string::npos);
}

TEST_F(DomainMigration, RefusesWhatCanNotBe) {
  expect_refused(R"({"domain":"new.example","old_domain":"other.example"})", 400,
                 "the cluster's domain is flynn.local");
  expect_refused(R"({"domain":"new.example"})", 400, "old_domain");
  for (const char* bad : {"", "*.new.example", "new.example:8443", "https://new.example", "10.0.0.1", "a..b", "-a.b"})
    expect_refused(R"({"domain":")" + std::string(bad) + R"(","old_domain":"flynn.localhost"})", 400, "no host name");
  expect_refused(R"({"domain":"Flynn.LocalHost","old_domain":"flynn.localhost"})", 400, "already");
  object("POST", "/apps", R"({"name":"thief"})");
  object("POST", "/apps/thief/routes",
         R"({"type":"http","domain":"git.taken.example","service":"thief-web","drain_backends":true})");
  expect_refused(R"({"domain":"taken.example","old_domain":"flynn.localhost"})", 409, "git.taken.example");

  EXPECT_EQ(tasks_.size(), 0u);
  EXPECT_EQ(migration_events().size(), 0u);
}

TEST_F(DomainMigration, OneAtATime) {
  object("PUT", "/domain", kMove);

  expect_refused(kMove, 409, "being migrated to new.example");

  run_tasks();
  migrate("newer.example", "new.example");
  EXPECT_EQ(names_in(text_of(stored("routes/certificate"), "cert")).size(), 6u);
}

TEST_F(DomainMigration, ANameThatIsTakenMeanwhileEndsItWithNothingChanged) {
  object("PUT", "/domain", kMove);
  object("POST", "/apps", R"({"name":"thief"})");
  object("POST", "/apps/thief/routes",
         R"({"type":"http","domain":"controller.new.example","service":"thief-web","drain_backends":true})");

  run_tasks();

  const auto events = migration_events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_NE(text_of(events[1], "error").find("controller.new.example"), std::string::npos);
  EXPECT_FALSE(object_of(events[1], "domain_migration").contains("finished_at"));
  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), kOld);
  EXPECT_EQ(text_of(stored("routes/certificate"), "domain"), kOld);
}

TEST_F(DomainMigration, ARestartDoesNotUndoIt) {
  migrate("new.example", kOld);
  const auto certificate = stored("routes/certificate");

  set_up();
  run_tasks();

  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), "new.example");
  EXPECT_EQ(stored("routes/certificate"), certificate);
  EXPECT_EQ(migration_events().size(), 2u);
}

TEST_F(DomainMigration, AnotherConfiguredDomainThanBeforeIsAMigrationToIt) {
  object("POST", "/apps", R"({"name":"shop"})");
  context_.settings.configured_domain = "configured.example";

  set_up();
  run_tasks();

  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), "configured.example");
  EXPECT_EQ(routes_of("shop", "configured.example").size(), 1u);
  migrate("new.example", "configured.example");
  set_up();
  EXPECT_TRUE(tasks_.empty()) << "the same configuration asks once";
}

TEST_F(DomainMigration, AConfiguredDomainThatCanNotBeIsNoneAndLooksAgainAtTheNextStart) {
  object("POST", "/apps", R"({"name":"thief"})");
  const auto route = object("POST", "/apps/thief/routes",
                            R"({"type":"http","domain":"git.wanted.example","service":"t","drain_backends":true})");
  context_.settings.configured_domain = "wanted.example";

  set_up();
  EXPECT_EQ(tasks_.size(), 0u);
  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), kOld);

  ASSERT_EQ(ask(kRoot, "DELETE", "/apps/thief/routes/http/" + text_of(route, "id")).status, 200);
  set_up();
  run_tasks();
  EXPECT_EQ(text_of(stored("cluster/config"), "domain"), "wanted.example");
}

TEST_F(DomainMigration, FormerDomainsStayClosedToKeysOfOneApp) {
  object("POST", "/apps", R"({"name":"shop"})");
  const std::string shop = key("shop-key", R"(,"app":"shop")");
  migrate("new.example", kOld);

  const auto take = [&](const std::string& domain) {
    return ask(shop, "POST", "/apps/shop/routes",
               R"({"type":"http","domain":")" + domain + R"(","service":"shop-web","drain_backends":true})")
        .status;
  };
  EXPECT_EQ(take("other.flynn.localhost"), 403);
  EXPECT_EQ(take("other.new.example"), 403);
  EXPECT_EQ(take("beta.shop.new.example"), 200);
}

/// Whatever fails at whichever call, the next one ends it, as if nothing had been.
TEST_F(DomainMigration, GoesOnWhereItStopped) {
  checks_answers_ = false;
  std::string now = kOld;
  for (const auto fault : {FaultyDoor::Fault::lost_call, FaultyDoor::Fault::lost_answer}) {
    bool failed = true;
    object("POST", "/apps", R"({"name":"shop-)" + std::to_string(static_cast<int>(fault)) + R"("})");
    for (int good = 0; failed; ++good) {
      SCOPED_TRACE("after call " + std::to_string(good));
      const std::string next = "d" + std::to_string(static_cast<int>(fault)) + "-" + std::to_string(good) + ".example";
      const std::size_t events = migration_events().size();
      const auto begun = object("PUT", "/domain", R"({"domain":")" + next + R"(","old_domain":")" + now + R"("})");
      tasks_.clear();  // as after a crash
      FaultyDoor faulty(door_, good, fault);
      Context dying(faulty, log_, settings(), [] {});
      resume_domain_migration(dying);
      failed = faulty.failed();

      resume_domain_migration(context_);

      EXPECT_FALSE(*domain_migration_runs(context_));
      EXPECT_EQ(text_of(stored("cluster/config"), "domain"), next);
      EXPECT_EQ(pin_of(text_of(stored("routes/certificate"), "cert")), text_of(object_of(begun, "tls_cert"), "pin"));
      EXPECT_EQ(routes_of("shop-0", next).size(), 1u);
      EXPECT_EQ(routes_of("controller", next).size(), 3u);
      EXPECT_EQ(migration_events().size(), events + 2);
      now = next;
      ASSERT_FALSE(HasFailure());
    }
  }
}

}  // namespace
}  // namespace flynn::controller
