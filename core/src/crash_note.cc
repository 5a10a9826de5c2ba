#include "crash_note.h"

#include <fcntl.h>
#include <link.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string_view>
#include <utility>

#include "flynn/sdk/unique_fd.h"
#include "thread_tag.h"

namespace flynn::core {
namespace {

// Static, fixed, lock-free to read: a signal handler may touch nothing else.
struct Mark {
  std::atomic<bool> used{false};
  std::atomic<std::uintptr_t> begin{0}, end{0};
  std::atomic<std::uint32_t> tag{0};
  std::array<char, 65> slot{}, digest{};
};
std::array<Mark, 512> marks;
std::mutex choosing;

int note_fd = -1;
pid_t armed_process = -1;
std::atomic_flag noting = ATOMIC_FLAG_INIT;
constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// Text in a fixed buffer.
class Line {
 public:
  void add(const char* text) {
    while (*text != '\0' && size_ < text_.size()) text_[size_++] = *text++;
  }
  void add_number(std::uintptr_t number, unsigned base) {
    std::array<char, 20> digits{};
    std::size_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number != 0 && count < digits.size());
    while (count > 0 && size_ < text_.size()) text_[size_++] = digits[--count];
  }
  // A thread's name is its plugin's to choose.
  void add_name(const char* name) {
    for (; *name != '\0' && size_ < text_.size(); ++name) {
      const char c = *name;
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
      text_[size_++] = plain ? c : '_';
    }
  }
  void write_to(int fd) const { [[maybe_unused]] const auto written = ::pwrite(fd, text_.data(), size_, 0); }

 private:
  std::array<char, 512> text_{};
  std::size_t size_ = 0;
};

struct Culprit {
  int mark = -1;
  const char* how = "";
  std::uintptr_t offset = 0;
};

int mark_at(std::uintptr_t address) {
  for (std::size_t i = 0; i < marks.size(); ++i)
    if (marks[i].used && address >= marks[i].begin && address < marks[i].end) return static_cast<int>(i);
  return -1;
}

// The nearest frame of a plugin. The kernel reads, which can't fault.
int mark_on_stack(std::uintptr_t stack_pointer) {
  constexpr std::size_t kStackBytes = 64u << 10;
  static std::array<std::uintptr_t, 512> words;
  for (std::size_t done = 0; done < kStackBytes; done += sizeof words) {
    iovec local{words.data(), sizeof words};
    iovec remote{reinterpret_cast<void*>(stack_pointer + done), sizeof words};  // NOLINT: an address
    const auto got = ::process_vm_readv(armed_process, &local, 1, &remote, 1, 0);
    if (got <= 0) return -1;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof words[0]; ++i)
      if (const int mark = mark_at(words[i]); mark >= 0) return mark;
  }
  return -1;
}

int mark_of_tag() {
  const auto tag = thread_tag_here();
  for (std::size_t i = 0; tag != 0 && i < marks.size(); ++i)
    if (marks[i].used && marks[i].tag == tag) return static_cast<int>(i);
  return -1;
}

// From the surest sign to the weakest: the instruction; whom the core called; the callers; who began the thread.
Culprit find_culprit(std::uintptr_t instruction, std::uintptr_t stack_pointer) {
  if (const int mark = mark_at(instruction); mark >= 0)
    return {mark, " in its code at +0x", instruction - marks[static_cast<std::size_t>(mark)].begin};
  if (crash_note_detail::running >= 0) return {crash_note_detail::running, " below a call into it", 0};
  if (const int mark = mark_on_stack(stack_pointer); mark >= 0) return {mark, " below its code", 0};
  if (const int mark = mark_of_tag(); mark >= 0) return {mark, " on a thread of it", 0};
  return {};
}

const char* name_of(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGILL:
      return "SIGILL";
    case SIGFPE:
      return "SIGFPE";
    default:
      return "SIGABRT";
  }
}

void write_note(int signal, const Culprit& culprit) {
  Line line;
  const auto* mark = culprit.mark >= 0 ? &marks[static_cast<std::size_t>(culprit.mark)] : nullptr;
  line.add(R"({"slot":")");
  if (mark != nullptr) line.add(mark->slot.data());
  line.add(R"(","digest":")");
  if (mark != nullptr) line.add(mark->digest.data());
  line.add(R"(","what":")");
  if (signal == 0) {
    line.add("it called exit()");
  } else {
    line.add("signal ");
    line.add_number(static_cast<std::uintptr_t>(signal), 10);
    line.add(" (");
    line.add(name_of(signal));
    line.add(")");
  }
  line.add(culprit.how);
  if (culprit.offset != 0) line.add_number(culprit.offset, 16);
  std::array<char, 17> name{};
  ::prctl(PR_GET_NAME, name.data(), 0, 0, 0);
  line.add(", thread ");
  line.add_name(name.data());
  line.add("\"}\n");
  line.write_to(note_fd);
}

std::pair<std::uintptr_t, std::uintptr_t> place_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return {static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]),
          static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {static_cast<std::uintptr_t>(context.uc_mcontext.pc), static_cast<std::uintptr_t>(context.uc_mcontext.sp)};
#else
  return {0, 0};
#endif
}

// Async-signal-safe throughout.
void on_fault(int signal, siginfo_t*, void* context) {
  // A plugin's child between fork and exec is not the host.
  if (::getpid() == armed_process) {
    // Two threads at once: the first one's note is awaited, it ends the process.
    while (noting.test_and_set()) ::pause();
    const auto [instruction, stack_pointer] = place_of(*static_cast<const ucontext_t*>(context));
    write_note(signal, find_culprit(instruction, stack_pointer));
  }
  // Then it ends as it would have: the core dump has the frame at fault.
  struct sigaction fallback {};
  fallback.sa_handler = SIG_DFL;
  ::sigaction(signal, &fallback, nullptr);
  ::raise(signal);
}

// The host itself leaves by _exit.
void on_exit_call() {
  if (::getpid() != armed_process || noting.test_and_set()) return;
  write_note(0, find_culprit(0, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))));
}

struct Search {
  std::string_view path;
  std::uintptr_t begin = 0, end = 0;
};

int visit_image(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (info->dlpi_name == nullptr || search.path != info->dlpi_name) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if (search.begin == 0) search.begin = info->dlpi_addr + segment.p_vaddr;
    search.end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
  }
  return 1;
}

void copy_text(std::array<char, 65>& to, const std::string& from) {
  to.fill('\0');
  std::memcpy(to.data(), from.data(), std::min(from.size(), to.size() - 1));
}

}  // namespace

CrashMark::CrashMark(const std::string& slot, const std::string& digest, std::uint32_t tag) {
  const std::lock_guard lock(choosing);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    auto& mark = marks[i];
    if (mark.used) continue;
    copy_text(mark.slot, slot);
    copy_text(mark.digest, digest);
    mark.begin = mark.end = 0;
    mark.tag = tag;
    mark.used = true;
    index_ = static_cast<int>(i);
    return;
  }
}

void CrashMark::locate(const std::filesystem::path& image) {
  if (index_ < 0) return;
  const auto path = image.string();
  Search search{path};
  ::dl_iterate_phdr(&visit_image, &search);
  auto& mark = marks[static_cast<std::size_t>(index_)];
  mark.begin = search.begin;
  mark.end = search.end;
}

CrashMark::CrashMark(CrashMark&& other) noexcept : index_(std::exchange(other.index_, -1)) {}

CrashMark& CrashMark::operator=(CrashMark&& other) noexcept {
  std::swap(index_, other.index_);
  return *this;
}

CrashMark::~CrashMark() {
  if (index_ >= 0) marks[static_cast<std::size_t>(index_)].used = false;
}

CrashStack::CrashStack() {
  stack_t present{};
  // A sanitizer gives each thread one of its own.
  if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;
  stack_ = std::make_unique<std::array<char, kSize>>();
  stack_t stack{};
  stack.ss_sp = stack_->data();
  stack.ss_size = kSize;
  ::sigaltstack(&stack, nullptr);
}

CrashStack::~CrashStack() {
  if (!stack_) return;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

std::optional<CrashNote> take_crash_note(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string line;
  if (!stream || !std::getline(stream, line)) return std::nullopt;
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  const auto document = parse_json_object(line);
  if (!document) return std::nullopt;
  return CrashNote{string_or(*document, "slot"), string_or(*document, "digest"), string_or(*document, "what")};
}

Result<void> arm_crash_notes(const std::filesystem::path& file) {
  note_fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (note_fd < 0) return errno_error(errno, "open " + file.string());
  armed_process = ::getpid();
  for (const int signal : kSignals) {
    struct sigaction action {};
    action.sa_sigaction = &on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(signal, &action, nullptr);
  }
  std::atexit(&on_exit_call);
  return {};
}

}  // namespace flynn::core
