#include "cri_lines.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace flynn::logs {
namespace {

// conmon breaks lines at 8 KiB; beyond this it is not conmon's.
constexpr std::size_t kRawLineBytesMax = 1 << 20;

std::string_view next_word(std::string_view& rest) {
  const auto space = std::min(rest.find(' '), rest.size());
  const auto word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

}  // namespace

std::int64_t time_of_cri(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  int read = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                  &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &read) != 6)
    return 0;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  std::int64_t micros = static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000;
  auto at = static_cast<std::size_t>(read);
  if (at < text.size() && text[at] == '.') {
    std::int64_t unit = 100'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
      micros += (text[at] - '0') * unit;
  }
  int hours = 0, minutes = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-') &&
      std::sscanf(copy.c_str() + at + 1, "%2d:%2d", &hours, &minutes) == 2)
    micros += (text[at] == '-' ? 1 : -1) * (hours * 60LL + minutes) * 60'000'000;
  return micros;
}

std::uint64_t CriLines::resume_after(std::uint64_t end) const {
  std::uint64_t resume = end;
  for (const auto& open : open_)
    if (open.is_open) resume = std::min(resume, open.begin);
  return resume;
}

void CriLines::take(std::string_view line, std::uint64_t begin, std::uint64_t end, const Found& found) {
  std::string_view rest = line;
  const auto time = time_of_cri(next_word(rest));
  const auto stream = next_word(rest);
  const auto tag = next_word(rest);
  if (time == 0 || (stream != "stdout" && stream != "stderr") || (tag != "F" && tag != "P")) {
    found({now_us(), "stdout", std::string(line)}, end, resume_after(end));
    return;
  }
  auto& open = open_[stream == "stderr" ? 1 : 0];
  if (!open.is_open) open = {true, begin, {time, std::string(stream), {}}};
  const auto room = kMessageBytesMax - std::min(open.line.msg.size(), kMessageBytesMax);
  open.line.msg += rest.substr(0, room);
  if (tag == "P") return;
  open.is_open = false;
  found(open.line, end, resume_after(end));
}

void CriLines::feed(std::string_view bytes, const Found& found) {
  buffer_ += bytes;
  std::size_t begin = 0;
  while (true) {
    auto end = buffer_.find('\n', begin);
    const bool too_long = end == std::string::npos && buffer_.size() - begin > kRawLineBytesMax;
    if (end == std::string::npos && !too_long) break;
    if (too_long) end = buffer_.size() - 1;
    take(std::string_view(buffer_).substr(begin, end - begin), offset_ + begin, offset_ + end + 1, found);
    begin = end + 1;
  }
  buffer_.erase(0, begin);
  offset_ += begin;
}

}  // namespace flynn::logs
