#include "stream_text.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>

namespace flynn::authoring {
namespace {

constexpr std::size_t kTextBytesMax = 1u << 20;

}  // namespace

UniqueFd file_with(const std::string& text) {
  UniqueFd fd(::memfd_create("flynn-plugin", MFD_CLOEXEC));
  [[maybe_unused]] const auto written = ::write(fd.get(), text.data(), text.size());
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string text_of(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  ssize_t got = 0;
  while (text.size() < kTextBytesMax && (got = ::read(fd, chunk.data(), chunk.size())) > 0)
    text.append(chunk.data(), static_cast<std::size_t>(got));
  return text;
}

}  // namespace flynn::authoring
