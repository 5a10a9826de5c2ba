// Whether a thread still runs code of an image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace flynn::core {

struct AddressRange {
  std::uintptr_t begin = 0, end = 0;
};

/// Where the process has executable pages of the file.
std::vector<AddressRange> code_of(const std::filesystem::path& file);

/// True when the thread's live stack refers to these ranges, or when that can't be told (it never blocks). Thread: any
/// but that one.
bool stack_refers_to(int tid, const std::vector<AddressRange>& code);

/// Names of the threads with this tag that still run code of the file. A thread that another plugin started inside a
/// call has the tag of its caller, so the tag alone would accuse the wrong one.
std::vector<std::string> threads_inside(std::uint32_t tag, const std::filesystem::path& file);

}  // namespace flynn::core
