#include "squash.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "flynn/sdk/stream.h"
#include "hex_digest.h"
#include "incoming_layer.h"
#include "plan_writer.h"
#include "process/child.h"

namespace flynn::images {
namespace {

constexpr std::size_t kWordsBytesMax = 2000;
constexpr int kOutputNumber = 3;

/// What mksquashfs said, from the file that it wrote it to.
std::string words_in(int file) {
  std::string words(kWordsBytesMax, '\0');
  const ssize_t count = ::pread(file, words.data(), words.size(), 0);
  words.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  while (words.ends_with('\n')) words.pop_back();
  return words;
}

Result<process::Child> start_packer(int input, int output, int words) {
  // Its sqfstar takes no compressor options in Debian 12. The output is a descriptor: what ends early leaves no file.
  return process::Child::start({"mksquashfs",
                                "-",
                                "/proc/self/fd/" + std::to_string(kOutputNumber),
                                "-tar",
                                "-noappend",
                                "-exit-on-error",
                                "-comp",
                                "zstd",
                                "-Xcompression-level",
                                "3",
                                "-mkfs-time",
                                "0",
                                "-root-mode",
                                "755",
                                "-root-uid",
                                "0",
                                "-root-gid",
                                "0",
                                "-no-progress",
                                "-quiet",
                                "-processors",
                                "2",
                                "-mem",
                                "256M"},
                               {{input, 0}, {words, 1}, {words, 2}, {output, kOutputNumber}});
}

Result<void> describe(SquashedLayer& layer) {
  if (::lseek(layer.file.get(), 0, SEEK_SET) != 0) return errno_error(errno, "read the squashfs file");
  HexDigest digest(EVP_sha512_256());
  std::vector<char> chunk(256 * 1024);
  for (;;) {
    const ssize_t count = ::read(layer.file.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read the squashfs file");
    if (count == 0) break;
    digest.add({chunk.data(), static_cast<std::size_t>(count)});
    layer.length += count;
  }
  layer.id = digest.end();
  if (::lseek(layer.file.get(), 0, SEEK_SET) != 0) return errno_error(errno, "read the squashfs file");
  return {};
}

}  // namespace

Result<SquashedLayer> squash(int tar, const std::string& folder, const PlanLimits& limits, Deadline deadline,
                             const StopSignal& stop) {
  if (::lseek(tar, 0, SEEK_SET) != 0) return errno_error(errno, "read the layer");
  auto plan = LayerPlan::read(tar, limits, deadline, stop);
  if (!plan) return plan.error();
  SquashedLayer layer;
  auto file = nameless_file(folder), words = nameless_file(folder);
  if (!file || !words) return file ? words.error() : file.error();
  layer.file = std::move(*file);
  auto pipe = make_stream();  // no pipe: a packer that has died must not raise SIGPIPE
  if (!pipe) return pipe.error();
  auto packer = start_packer(pipe->second.get(), layer.file.get(), words->get());
  if (!packer) return packer.error();
  pipe->second.reset();
  auto written = write_plan(*plan, tar, pipe->first.get(), deadline, stop);
  pipe->first.reset();
  if (!written && written.error().code != Code::cancelled) return written.error();
  // Who no longer reads has ended, and says why.
  auto status = packer->wait(deadline, stop.fd());
  if (stop.asked()) return Error{Code::unavailable, "the plugin images is being stopped"};
  if (!status) return status.error().context("mksquashfs");
  if (*status != 0 || !written) {
    const std::string said = words_in(words->get());
    const bool full = said.find("No space left") != std::string::npos;
    return Error{full ? Code::resource_exhausted : Code::internal,
                 "mksquashfs failed (exit status " + std::to_string(*status) + "): " + said};
  }
  if (auto described = describe(layer); !described) return described.error();
  return layer;
}

}  // namespace flynn::images
