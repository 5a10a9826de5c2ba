#include "loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "flynn/sdk/unique_fd.h"

namespace flynn::host {
namespace {

// Others take loop devices too: the number that LOOP_CTL_GET_FREE names may be gone when we configure it.
constexpr int kAttempts = 32;
constexpr unsigned kLoopMajor = 7;

struct LoopDevice {
  UniqueFd fd;
  std::string path;
};

Result<LoopDevice> open_loop(int number) {
  LoopDevice loop{UniqueFd(), "/dev/loop" + std::to_string(number)};
  loop.fd.reset(::open(loop.path.c_str(), O_RDWR | O_CLOEXEC));
  if (!loop.fd && errno == ENOENT) {
    // Without udev (a container, an early boot) nobody makes the node.
    ::mknod(loop.path.c_str(), S_IFBLK | 0660, makedev(kLoopMajor, static_cast<unsigned>(number)));
    loop.fd.reset(::open(loop.path.c_str(), O_RDWR | O_CLOEXEC));
  }
  if (!loop.fd) return errno_error(errno, "open " + loop.path);
  return loop;
}

Result<LoopDevice> attach(const std::string& file) {
  UniqueFd image(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!image) return errno_error(errno, "open " + file);
  UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return errno_error(errno, "open /dev/loop-control");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return errno_error(errno, "find a free loop device");
    auto loop = open_loop(number);
    if (!loop) return loop.error();
    loop_config config{};
    config.fd = static_cast<__u32>(image.get());
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    std::strncpy(reinterpret_cast<char*>(config.info.lo_file_name), file.c_str(), LO_NAME_SIZE - 1);
    if (::ioctl(loop->fd.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) return errno_error(errno, "configure " + loop->path);
  }
  return Error{Code::resource_exhausted, "no free loop device after " + std::to_string(kAttempts) + " attempts"};
}

}  // namespace

Result<void> mount_squashfs(const std::string& file, const std::string& point) {
  auto loop = attach(file);
  if (!loop) return loop.error().context("mount layer");
  // The device clears itself (autoclear) when the last opener goes: us on failure, the mount later.
  if (::mount(loop->path.c_str(), point.c_str(), "squashfs", MS_RDONLY | MS_NODEV | MS_NOSUID, nullptr) != 0) {
    return errno_error(errno,
                       "mount " + file + " over " + loop->path + " (is squashfs with its compressor in the kernel?)");
  }
  return {};
}

}  // namespace flynn::host
