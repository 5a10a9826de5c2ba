/// Columns for people: each as wide as its widest cell, two spaces between, nothing behind the last one.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace flynn::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header);
  void add(std::vector<std::string> row);
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace flynn::cli
