// Holds answers of the API against docs/api/controller.openapi.json, for tests.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "flynn/sdk/json.h"

namespace flynn::controller {

/// A request and its answer, as they were on the wire.
struct Exchange {
  std::string method, target, request_body;
  int status = 0;
  std::string content_type, body;
};

/// Stricter than the document: a member of an answer that it does not name is a problem, unless it says
/// `additionalProperties`. Thread: the test's.
class OpenApiChecker {
 public:
  /// Reads the document that is built into the controller.
  OpenApiChecker();
  ~OpenApiChecker();

  /// Empty when the document allows the answer (and, where it is a success, the request), else why not.
  std::string problem(const Exchange& exchange);
  /// "GET /apps/{app}" of each operation that has succeeded so far.
  const std::set<std::string>& succeeded() const { return succeeded_; }
  const json::object& document() const { return document_; }
  /// What a local $ref leads to; null when it leads nowhere.
  const json::value* resolve(std::string_view reference) const;
  /// The value itself, or what its $ref leads to. Throws when that leads nowhere.
  const json::object& resolved(const json::value& value) const;

 private:
  struct Compiled;
  enum class Members { named, any };
  /// The operation and the path of the document that fit; null when there is none.
  const json::object* find(const Exchange& exchange, std::string& path) const;
  std::string problem_of_answer(const json::object& response, const Exchange& exchange);
  /// Of each document in a text: of one line each, or of one event each.
  std::string problem_of_items(const json::value& schema, const std::string& text, bool events);
  std::string problem_of_json(const json::value& schema, const std::string& text, Members members);
  const Compiled& compiled(const json::value& schema, Members members);

  json::object document_;
  json::value open_components_, closed_components_;
  std::map<std::string, std::unique_ptr<Compiled>> compiled_;
  std::set<std::string> succeeded_;
};

}  // namespace flynn::controller
