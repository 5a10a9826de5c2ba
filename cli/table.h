/// Columns for people: each as wide as its widest cell, two spaces between, nothing behind the last one.
#pragma once

#include <boost/json/array.hpp>
#include <iosfwd>
#include <string>
#include <vector>

namespace flynn::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header);
  void add(std::vector<std::string> row);
  /// On a terminal narrower than the table the widest columns are cut, with "…"; elsewhere nothing is.
  void print(std::ostream& out) const;
  /// An array of objects: headings in lower case with _ for spaces. Rows keep their order.
  [[nodiscard]] boost::json::array document() const;
  [[nodiscard]] const std::vector<std::vector<std::string>>& rows() const { return rows_; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace flynn::cli
