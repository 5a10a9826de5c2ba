#include "table.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <cctype>
#include <numeric>
#include <ostream>

#include "documents.h"
#include "terminal.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kPadding = 2;
constexpr std::size_t kColumnMin = 8;

/// Characters, not bytes: UTF-8 continuation bytes take no column.
std::size_t columns_of(const std::string& cell) {
  return static_cast<std::size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// The first `columns` characters, the last of them an ellipsis, of what is longer.
std::string cut(const std::string& cell, std::size_t columns) {
  if (columns_of(cell) <= columns) return cell;
  std::string text;
  std::size_t taken = 0;
  for (const char c : cell) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    if (begins && ++taken == columns) break;
    text += c;
  }
  return text + "…";
}

std::size_t terminal_columns() { return is_terminal(1) ? window_size(1).columns : 0; }

/// Takes from the widest column until all fit; none becomes narrower than kColumnMin.
void fit(std::vector<std::size_t>& widths, std::size_t columns) {
  const auto total = [&] { return std::accumulate(widths.begin(), widths.end(), kPadding * (widths.size() - 1)); };
  while (!widths.empty() && total() > columns) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kColumnMin) return;
    --*widest;
  }
}

std::string member_of(const std::string& heading) {
  std::string name;
  for (const char c : heading) {
    if (c == ' ') name += '_';
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name;
}

}  // namespace

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

void Table::print(std::ostream& out) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  if (const std::size_t columns = terminal_columns(); columns > 0) fit(widths, columns);
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = cut(row[i], widths[i]);
      line += cell;
      line.append(widths[i] - columns_of(cell) + kPadding, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

json::array Table::document() const {
  json::array list;
  for (std::size_t i = 1; i < rows_.size(); ++i) {
    json::object row;
    for (std::size_t column = 0; column < rows_[i].size(); ++column) {
      const std::string name = column < rows_.front().size() ? member_of(rows_.front()[column]) : "note";
      row[name] = rows_[i][column];
    }
    list.push_back(std::move(row));
  }
  return list;
}

}  // namespace flynn::cli
