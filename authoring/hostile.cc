#include "hostile.h"

#include "flynn/sdk/json.h"

namespace flynn::authoring {
namespace {

constexpr std::size_t kHugeBytes = 16u << 20;
constexpr int kDeep = 100'000;

std::string repeated(const std::string& text, int times) {
  std::string out;
  out.reserve(text.size() * static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

json::value odd_value(std::mt19937_64& chance) {
  switch (chance() % 10) {
    case 0:
      return nullptr;
    case 1:
      return true;
    case 2:
      return -1;
    case 3:
      return 9'223'372'036'854'775'807;
    case 4:
      return 1e308;
    case 5:
      return json::value(std::string(chance() % 5000, 'x'));
    case 6:
      return "../../../etc/passwd";
    case 7:
      return json::array{1, "two", nullptr};
    case 8:
      return json::object{{"a", json::object{{"b", 1}}}};
    default:
      return json::value(std::string("\0\x01\x7f", 3));
  }
}

}  // namespace

std::vector<HostileBody> hostile_bodies() {
  return {{"nothing", ""},
          {"no JSON", "this is no JSON"},
          {"a JSON text that is cut", "{\"a\":"},
          {"two documents", "{}{}"},
          {"an array", "[]"},
          {"a number", "42"},
          {"null", "null"},
          {"a text that is no UTF-8", "{\"key\":\"\xff\xfe\"}"},
          {"a NUL in the middle", std::string("{\"a\":\"\0\"}", 9)},
          {"arrays 100,000 deep", repeated("[", kDeep)},
          {"objects 100,000 deep", repeated("{\"a\":", kDeep)},
          {"a string of 16 MiB", "{\"name\":\"" + std::string(kHugeBytes, 'x') + "\"}"},
          {"100,000 members", "{" +
                                  [] {
                                    std::string members;
                                    for (int i = 0; i < kDeep; ++i)
                                      members += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":1";
                                    return members;
                                  }() +
                                  "}"},
          {"a number that is too large", "{\"limit\":1e999999}"}};
}

std::string mutated(const std::string& example, std::mt19937_64& chance) {
  auto document = parse_json_object(example);
  json::object body = document ? *document : json::object{};
  std::vector<std::string> keys;
  for (const auto& member : body) keys.emplace_back(member.key());
  for (auto changes = chance() % 3 + 1; changes > 0; --changes) {
    if (!keys.empty() && chance() % 4 != 0) {
      const auto& key = keys[chance() % keys.size()];
      if (chance() % 5 == 0)
        body.erase(key);
      else
        body[key] = odd_value(chance);
    } else {
      body["m" + std::to_string(chance() % 10)] = odd_value(chance);
    }
  }
  auto text = json::serialize(body);
  if (chance() % 4 == 0) text.resize(chance() % (text.size() + 1));
  if (!text.empty() && chance() % 4 == 0) text[chance() % text.size()] = static_cast<char>(chance() % 256);
  return text;
}

}  // namespace flynn::authoring
