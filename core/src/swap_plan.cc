#include "swap_plan.h"

#include <algorithm>

#include "config_schema.h"
#include "schema_changes.h"

namespace flynn::core {
namespace {

using Provider = PlanInput::Provider;

std::string number(const InterfaceId& interface) {
  return std::to_string(interface.major) + "." + std::to_string(interface.minor);
}

const InterfaceId* same_major(const std::vector<InterfaceId>& list, const InterfaceId& wanted) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& id) { return id.same_major(wanted); });
  return found == list.end() ? nullptr : &*found;
}

json::array texts(const std::vector<std::string>& list) {
  json::array all;
  for (const auto& text : list) all.emplace_back(text);
  return all;
}

// What `newer` has and `older` has not.
json::array more_of(const std::vector<std::string>& newer, const std::vector<std::string>& older) {
  json::array more;
  for (const auto& text : newer)
    if (std::find(older.begin(), older.end(), text) == older.end()) more.emplace_back(text);
  return more;
}

std::vector<std::string> capabilities_of(const Manifest& manifest) {
  const auto document = parse_json_object(manifest.text);
  return document ? strings_or_empty(*document, "capabilities") : std::vector<std::string>{};
}

const char* name_of(SwapMode mode) { return mode == SwapMode::overlap ? "overlap" : "exclusive"; }

class Judge {
 public:
  explicit Judge(const PlanInput& input) : input_(input), old_(input.old_manifest) {}

  SwapPlan judge() {
    auto& document = plan_.document;
    document["slot"] = input_.slot;
    document["path"] = input_.file.string();
    document["from"] = input_.running
                           ? json::value(json::object{{"version", old_.version}, {"digest", input_.old_digest}})
                           : json::value();
    if (read_file()) {
      document["to"] = json::object{{"version", plan_.manifest.version}, {"digest", input_.new_digest}};
      judge_name();
      judge_provides();
      judge_requires();
      judge_mode();
      judge_config();
      compare_capabilities();
    }
    finish();
    return std::move(plan_);
  }

 private:
  void refuse(std::string why) { plan_.refusals.push_back(std::move(why)); }

  // False when the file has no manifest that could be compared.
  bool read_file() {
    if (!input_.file_facts) {
      plan_.refusal_code = input_.file_facts.error().code;
      refuse(input_.file_facts.error().message);
      return false;
    }
    for (const auto& problem : core::judge(*input_.file_facts)) refuse("it can't be loaded: " + problem);
    auto manifest = parse_manifest(input_.file_facts->manifest_text);
    if (!manifest) return false;
    plan_.manifest = std::move(*manifest);
    return true;
  }

  // Another plugin may take the slot if it does all that the old one does (judge_provides) and nothing has to be handed
  // from one to the other.
  void judge_name() {
    if (next().name == old_.name || old_.name.empty()) return;
    plan_.document["plugin"] = json::object{{"from", old_.name}, {"to", next().name}};
    if (next().swap == SwapMode::exclusive || old_.swap == SwapMode::exclusive)
      refuse("it is the plugin \"" + next().name + "\", but the slot holds \"" + old_.name +
             "\", and exclusive plugins hand their state over to their own kind");
  }

  // Every interface that is in use must be there still, and of no smaller minor than somebody requires.
  void judge_provides() {
    json::array list;
    for (const auto& before : old_.provides) {
      const auto* after = same_major(next().provides, before);
      list.push_back(provided(before, &before, after));
      if (after == nullptr) judge_lack_of(before);
    }
    for (const auto& after : next().provides)
      if (same_major(old_.provides, after) == nullptr) list.push_back(provided(after, nullptr, &after));
    plan_.document["provides"] = std::move(list);
  }

  // A version of the same plugin that is started where nothing runs takes away only what somebody waits for.
  void judge_lack_of(const InterfaceId& before) {
    if (input_.running || next().name != old_.name)
      return refuse("it does not provide " + before.text() + ", as the version in force does");
    for (const auto& user : input_.dependants)
      if (user.needs.same_major(before))
        refuse("it does not provide " + before.text() + ", which " + user.slot + " requires");
  }

  json::object provided(const InterfaceId& id, const InterfaceId* before, const InterfaceId* after) {
    json::array users;
    for (const auto& user : input_.dependants) {
      if (!user.needs.same_major(id)) continue;
      users.emplace_back(user.slot);
      if (after != nullptr && !after->satisfies(user.needs))
        refuse("it provides " + after->text() + ", but " + user.slot + " requires " + user.needs.text());
    }
    const auto minor = [](const InterfaceId* one) {
      return one == nullptr ? json::value() : json::value(number(*one));
    };
    return {{"interface", id.name + "/" + std::to_string(id.major)},
            {"from", minor(before)},
            {"to", minor(after)},
            {"required_by", std::move(users)}};
  }

  void judge_requires() {
    json::array list;
    for (const auto& wanted : next().requires_) list.push_back(required(wanted, false));
    for (const auto& wanted : next().optional) list.push_back(required(wanted, true));
    plan_.document["requires"] = std::move(list);
  }

  json::object required(const InterfaceId& wanted, bool optional) {
    json::object line{{"interface", wanted.text()}, {"optional", optional}, {"satisfied", false}};
    const auto* provider = provider_of(wanted);
    if (provider == nullptr) {
      if (!optional) refuse("it requires " + wanted.text() + ", which no running plugin provides");
      return line;
    }
    line["by"] = provider->slot;
    line["provided"] = provider->interface.text();
    // What the slot itself provides is the new version's by then.
    const bool satisfied = provider->slot == input_.slot ? next().provides_interface(wanted)
                                                         : provider->interface.satisfies(wanted) && provider->running;
    line["satisfied"] = satisfied;
    if (satisfied || optional) return line;
    if (!provider->running)
      refuse("it requires " + wanted.text() + ", which " + provider->slot + " provides, but that is not running");
    else
      refuse("it requires " + wanted.text() + ", the running " + provider->slot + " provides " +
             number(provider->interface));
    return line;
  }

  // By the same major if there is one, otherwise whoever has the name: then the refusal can say what there is.
  const Provider* provider_of(const InterfaceId& wanted) const {
    const Provider* of_name = nullptr;
    for (const auto& provider : input_.providers) {
      if (provider.interface.same_major(wanted)) return &provider;
      if (provider.interface.name == wanted.name) of_name = &provider;
    }
    return of_name;
  }

  void judge_mode() {
    if (!input_.running) {
      plan_.document["swap"] = json::object{{"mode", "start"}, {"from", nullptr}, {"to", name_of(next().swap)}};
      if (input_.with_canary)
        refuse("a canary needs a version in force beside it, but " + input_.slot +
               " is not running: leave --canary out");
      return;
    }
    const bool exclusive = next().swap == SwapMode::exclusive || old_.swap == SwapMode::exclusive;
    plan_.document["swap"] = json::object{
        {"mode", exclusive ? "exclusive" : "overlap"}, {"from", name_of(old_.swap)}, {"to", name_of(next().swap)}};
    if (input_.with_canary && exclusive)
      refuse("a canary needs two versions at once, but this plugin is swapped exclusively: use --probation instead");
  }

  void judge_config() {
    auto document = compare_schemas(old_.config_schema, next().config_schema).document();
    auto judged = apply_config_schema(next().config_schema, input_.config_json);
    document["valid"] = judged.ok();
    if (judged) {
      plan_.config = std::move(*judged);
    } else {
      document["problem"] = judged.error().message;
      refuse("the configuration of " + input_.slot + " does not suit it: " + judged.error().message);
      if (plan_.refusals.size() == 1) plan_.refusal_code = judged.error().code;
    }
    plan_.document["config"] = std::move(document);
  }

  void compare_capabilities() {
    const auto before = capabilities_of(old_), after = capabilities_of(next());
    plan_.document["capabilities"] =
        json::object{{"added", more_of(after, before)}, {"removed", more_of(before, after)}};
    plan_.document["listeners"] = json::object{{"added", more_of(next().listeners, old_.listeners)},
                                               {"removed", more_of(old_.listeners, next().listeners)},
                                               {"missing", more_of(next().listeners, input_.lent)}};
  }

  void finish() {
    const bool same =
        !input_.new_digest.empty() && input_.new_digest == input_.old_digest && plan_.config == input_.old_config;
    plan_.document["verdict"] = !plan_.refusals.empty() ? "refused" : same ? "no_change" : "changes";
    plan_.document["reasons"] = texts(plan_.refusals);
  }

  const Manifest& next() const { return plan_.manifest; }

  const PlanInput& input_;
  const Manifest& old_;
  SwapPlan plan_;
};

}  // namespace

SwapPlan plan_swap(const PlanInput& input) { return Judge(input).judge(); }

Result<void> SwapPlan::verdict(const std::filesystem::path& file) const {
  if (refusals.empty()) return {};
  std::string text = file.string() + ": ";
  for (const auto& why : refusals) text += (&why == &refusals.front() ? "" : "; ") + why;
  return Error{refusal_code, text};
}

}  // namespace flynn::core
