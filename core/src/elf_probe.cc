#include "elf_probe.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "flynn/plugin.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

/// The file's bytes, read and never mapped: whoever cuts the file short meanwhile gets a refusal, where a mapping would
/// end the host by SIGBUS. Every read is checked against the end.
class View {
 public:
  View(int fd, std::size_t size) : fd_(fd), size_(size) {}

  template <typename T>
  std::optional<T> at(std::uint64_t offset) const {
    T value;
    if (!fits(offset, sizeof value) || !read(offset, reinterpret_cast<char*>(&value), sizeof value))
      return std::nullopt;
    return value;
  }
  bool fits(std::uint64_t offset, std::uint64_t size) const { return offset <= size_ && size_ - offset >= size; }
  /// Also nothing when it is larger than any honest table.
  std::optional<std::string> range(std::uint64_t offset, std::uint64_t size) const {
    if (!fits(offset, size) || size > kTableBytesMax) return std::nullopt;
    std::string bytes(static_cast<std::size_t>(size), '\0');
    if (!read(offset, bytes.data(), bytes.size())) return std::nullopt;
    return bytes;
  }

 private:
  static constexpr std::uint64_t kTableBytesMax = 64u << 20;

  bool read(std::uint64_t offset, char* into, std::size_t size) const {
    for (std::size_t done = 0; done < size;) {
      const auto got = ::pread(fd_, into + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    return true;
  }

  int fd_;
  std::size_t size_;
};

/// A part that has been read.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  std::optional<T> at(std::uint64_t offset) const {
    const auto found = range(offset, sizeof(T));
    if (!found) return std::nullopt;
    T value;
    std::memcpy(&value, found->data(), sizeof value);
    return value;
  }
  std::optional<std::string_view> range(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    return bytes_.substr(offset, size);
  }

 private:
  std::string_view bytes_;
};

Error broken(std::string_view what) {
  return Error{Code::invalid_argument, "not a whole shared object: " + std::string(what)};
}

std::uint64_t aligned(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

/// The manifest in one PT_NOTE segment, if it is there.
std::optional<std::string> manifest_in(std::string_view notes, std::uint64_t alignment) {
  const std::uint64_t align = alignment == 8 ? 8 : 4;
  const Bytes view(notes);
  std::uint64_t offset = 0;
  while (auto header = view.at<Elf64_Nhdr>(offset)) {
    const auto name = view.range(offset + sizeof(Elf64_Nhdr), header->n_namesz);
    const std::uint64_t text_at = aligned(offset + sizeof(Elf64_Nhdr) + header->n_namesz, align);
    const auto text = view.range(text_at, header->n_descsz);
    if (!name || !text) return std::nullopt;
    if (header->n_type == FLYNN_NOTE_MANIFEST && *name == std::string_view(FLYNN_NOTE_NAME, sizeof FLYNN_NOTE_NAME) &&
        text->size() <= kManifestBytesMax) {
      return std::string(*text);
    }
    offset = aligned(text_at + header->n_descsz, align);
  }
  return std::nullopt;
}

Result<void> read_dynamic(std::string_view dynamic, ElfFacts& facts) {
  const Bytes view(dynamic);
  for (std::uint64_t offset = 0; auto entry = view.at<Elf64_Dyn>(offset); offset += sizeof(Elf64_Dyn)) {
    const auto value = entry->d_un.d_val;
    switch (entry->d_tag) {
      case DT_NULL:
        return {};
      case DT_TEXTREL:
        facts.has_text_relocations = true;
        break;
      case DT_RPATH:
      case DT_RUNPATH:
        facts.has_rpath = true;
        break;
      case DT_BIND_NOW:
        facts.binds_now = true;
        break;
      case DT_FLAGS:
        facts.has_text_relocations |= (value & DF_TEXTREL) != 0;
        facts.binds_now |= (value & DF_BIND_NOW) != 0;
        break;
      case DT_FLAGS_1:
        facts.binds_now |= (value & DF_1_NOW) != 0;
        facts.has_nodelete |= (value & DF_1_NODELETE) != 0;
        break;
      default:
        break;
    }
  }
  return {};
}

Result<void> read_segments(const View& view, const Elf64_Ehdr& header, ElfFacts& facts) {
  bool has_dynamic = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment = view.at<Elf64_Phdr>(header.e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr));
    if (!segment) return broken("its program headers end beyond the file");
    const auto ends = [&] {
      return broken("it is truncated (segment " + std::to_string(i) + " ends beyond the file)");
    };
    if (!view.fits(segment->p_offset, segment->p_filesz)) return ends();
    if (segment->p_type != PT_NOTE && segment->p_type != PT_DYNAMIC) continue;
    const auto bytes = view.range(segment->p_offset, segment->p_filesz);
    if (!bytes) return ends();
    if (segment->p_type == PT_NOTE && facts.manifest_text.empty()) {
      if (auto text = manifest_in(*bytes, segment->p_align)) facts.manifest_text = std::move(*text);
    }
    if (segment->p_type == PT_DYNAMIC) {
      has_dynamic = true;
      if (auto read = read_dynamic(*bytes, facts); !read) return read;
    }
  }
  if (!has_dynamic) return broken("it has no dynamic section");
  return {};
}

Result<void> read_symbols(const View& view, const Elf64_Shdr& table, const Elf64_Shdr& strings, ElfFacts& facts) {
  const auto names = view.range(strings.sh_offset, strings.sh_size);
  const auto symbols = view.range(table.sh_offset, table.sh_size);
  if (!names || !symbols) return broken("its symbol table ends beyond the file");
  const Bytes all(*symbols);
  for (std::uint64_t i = 1; i < table.sh_size / sizeof(Elf64_Sym); ++i) {
    const auto symbol = *all.at<Elf64_Sym>(i * sizeof(Elf64_Sym));
    const auto binding = ELF64_ST_BIND(symbol.st_info);
    const bool defined = symbol.st_shndx != SHN_UNDEF;
    if (!defined || binding == STB_LOCAL || symbol.st_name >= names->size()) continue;
    std::string name = names->substr(symbol.st_name);
    name.resize(std::min(name.size(), name.find('\0')));
    if (binding == STB_GNU_UNIQUE) facts.unique_symbols.push_back(name);
    facts.exports.push_back(std::move(name));
  }
  return {};
}

Result<void> read_sections(const View& view, const Elf64_Ehdr& header, ElfFacts& facts) {
  const auto section = [&](std::uint64_t index) {
    return view.at<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr));
  };
  if (header.e_shoff == 0 || header.e_shnum == 0)
    return broken("its section headers were stripped (use strip, not sstrip)");
  if (!view.fits(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr)))
    return broken("it is truncated (its section headers end beyond the file)");
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const auto table = section(i);
    if (!table) return broken("it is truncated (its section headers end beyond the file)");
    if (table->sh_type != SHT_DYNSYM) continue;
    const auto strings = section(table->sh_link);
    if (!strings) return broken("its symbol table names no string table");
    return read_symbols(view, *table, *strings, facts);
  }
  return broken("it has no dynamic symbol table");
}

}  // namespace

Result<ElfFacts> probe_elf(const std::filesystem::path& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return errno_error(errno, "open " + path.string());
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(errno, "stat " + path.string());
  if (!S_ISREG(status.st_mode)) return Error{Code::invalid_argument, path.string() + ": not a regular file"};
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto named = [&](const Error& error) { return error.context(path.string()); };
  if (size < sizeof(Elf64_Ehdr)) return named(broken("it has " + std::to_string(size) + " bytes"));
  if (size > kPluginFileBytesMax) return named(broken("it is larger than 512 MiB"));

  const View view(file.get(), size);
  const auto begin = view.at<Elf64_Ehdr>(0);
  if (!begin) return named(broken("it was cut short while it was being read"));
  const auto& header = *begin;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return named(broken("it is no ELF file"));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    return named(broken("it was built for another machine (ELF machine " + std::to_string(header.e_machine) + ")"));
  }
  if (header.e_type != ET_DYN) return named(broken("it is an ELF file of another type"));
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return named(broken("its program headers have a foreign size"));
  ElfFacts facts;
  if (auto read = read_segments(view, header, facts); !read) return named(read.error());
  if (auto read = read_sections(view, header, facts); !read) return named(read.error());
  return facts;
}

}  // namespace flynn::core
