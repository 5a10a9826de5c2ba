#include "thread_code.h"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "thread_tag.h"

namespace flynn::core {
namespace {

constexpr int kTriesOfARunningThread = 5;
constexpr std::size_t kStackBytesMax = 16u << 20;

struct Mapping {
  AddressRange range;
  bool executable = false;
  std::string file;
};

template <typename Visit>
void each_mapping(Visit visit) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    Mapping mapping;
    char dash = 0;
    std::string rights, offset, device, inode;
    words >> std::hex >> mapping.range.begin >> dash >> mapping.range.end >> rights >> offset >> device >> inode;
    std::getline(words >> std::ws, mapping.file);
    mapping.executable = rights.find('x') != std::string::npos;
    visit(mapping);
  }
}

// Of a blocked thread, from /proc/…/syscall: "number args… sp pc". Zero while it runs.
std::uintptr_t stack_pointer(int tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/syscall");
  std::vector<std::string> words;
  for (std::string word; file >> word;) words.push_back(word);
  if (words.size() < 3) return 0;
  return std::stoull(words[words.size() - 2], nullptr, 16);
}

bool within(std::uintptr_t address, const std::vector<AddressRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return address >= range.begin && address < range.end; });
}

// The words from `begin` to the end of its mapping. The thread may end meanwhile, so they are read by the kernel, which
// says so.
std::vector<std::uintptr_t> words_from(std::uintptr_t begin) {
  std::uintptr_t end = 0;
  each_mapping([&](const Mapping& mapping) {
    if (begin >= mapping.range.begin && begin < mapping.range.end) end = mapping.range.end;
  });
  if (end == 0) return {};
  std::vector<std::uintptr_t> words(std::min(kStackBytesMax, end - begin) / sizeof(std::uintptr_t));
  iovec local{words.data(), words.size() * sizeof(std::uintptr_t)};
  iovec remote{reinterpret_cast<void*>(begin), local.iov_len};
  const auto got = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
  words.resize(got <= 0 ? 0 : static_cast<std::size_t>(got) / sizeof(std::uintptr_t));
  return words;
}

}  // namespace

std::vector<AddressRange> code_of(const std::filesystem::path& file) {
  std::vector<AddressRange> ranges;
  each_mapping([&](const Mapping& mapping) {
    if (mapping.executable && mapping.file.starts_with(file.string())) ranges.push_back(mapping.range);
  });
  return ranges;
}

bool stack_refers_to(int tid, const std::vector<AddressRange>& code) {
  for (int attempt = 0; attempt < kTriesOfARunningThread; ++attempt) {
    if (const auto pointer = stack_pointer(tid); pointer != 0) {
      const auto words = words_from(pointer);
      return std::any_of(words.begin(), words.end(), [&](auto word) { return within(word, code); });
    }
    ::poll(nullptr, 0, 1);
  }
  return true;
}

std::vector<std::string> threads_inside(std::uint32_t tag, const std::filesystem::path& file) {
  std::vector<std::string> names;
  auto tagged = threads_with_tag(tag);
  if (!tagged || tagged->empty()) return names;
  const auto code = code_of(file);
  for (const auto& thread : *tagged)
    if (stack_refers_to(thread.tid, code)) names.push_back(thread.name + "(" + std::to_string(thread.tid) + ")");
  return names;
}

}  // namespace flynn::core
