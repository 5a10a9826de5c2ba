#include "child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "answer.h"
#include "child_host.h"
#include "instance_function.h"
#include "plugin_image.h"
#include "walls.h"

namespace flynn::core {
namespace {

/// The one plugin of the process, and what the host asks of it. Lives as long as the process. Thread: phase by the
/// thread of the first lane; handle [any].
class Inmate {
 public:
  Inmate(Manifest manifest, UniqueFd image, ControlLane& control, std::string info_json)
      : manifest_(std::move(manifest)), image_fd_(std::move(image)), host_(control, std::move(info_json)) {}

  /// Answers one frame after the other until the host closes the lane.
  void serve(Lane lane) {
    while (auto request = lane.receive({})) {
      Answer answer;
      const auto status = request->frame.kind == FrameKind::handle  ? handle(*request, answer)
                          : request->frame.kind == FrameKind::phase ? phase(*request, answer)
                                                                    : FLYNN_E_UNIMPLEMENTED;
      if (!lane.send(answer.frame(status), {})) return;
    }
  }

 private:
  flynn_status handle(const Received& request, Answer& answer) {
    std::vector<int> numbers;
    const auto call = call_of(request, numbers);
    // The host asks only after the phases before have answered; this says so to the memory as well.
    if (phases_done_.load(std::memory_order_acquire) == 0 || table_ == nullptr) return FLYNN_E_UNAVAILABLE;
    return table_->handle(self_, &call, answer.table());
  }

  flynn_status phase(Received& request, Answer& answer) {
    flynn_error error{};
    error.struct_size = sizeof error;
    const auto status = run(request, answer, error);
    phases_done_.fetch_add(1, std::memory_order_release);
    if (status != FLYNN_OK)
      answer.table()->set_error(answer.table(), status,
                                {error.message, std::min<std::uint64_t>(error.message_size, sizeof error.message)}, {});
    return status;
  }

  flynn_status run(Received& request, Answer& answer, flynn_error& error);
  flynn_status create(Answer& answer, flynn_error& error);
  std::uint32_t functions() const;

  Manifest manifest_;
  UniqueFd image_fd_;
  ChildHost host_;
  std::unique_ptr<PluginImage> image_;
  void* self_ = nullptr;
  const flynn_instance_vt* table_ = nullptr;
  std::atomic<std::uint64_t> phases_done_{0};
};

flynn_status fail(flynn_error& error, const Error& why) {
  error.message_size =
      static_cast<std::uint32_t>(std::snprintf(error.message, sizeof error.message, "%s", why.message.c_str()));
  return static_cast<flynn_status>(why.code);
}

std::uint32_t Inmate::functions() const {
  std::uint32_t bits = bit_of(InstanceFunction::create);
  if (FLYNN_HAS(table_, configure)) bits |= bit_of(InstanceFunction::configure);
  if (FLYNN_HAS(table_, import_state)) bits |= bit_of(InstanceFunction::import_state);
  if (FLYNN_HAS(table_, start)) bits |= bit_of(InstanceFunction::start);
  if (FLYNN_HAS(table_, health)) bits |= bit_of(InstanceFunction::health);
  if (FLYNN_HAS(table_, activate)) bits |= bit_of(InstanceFunction::activate);
  if (FLYNN_HAS(table_, quiesce)) bits |= bit_of(InstanceFunction::quiesce);
  if (FLYNN_HAS(table_, resume)) bits |= bit_of(InstanceFunction::resume);
  if (FLYNN_HAS(table_, export_state)) bits |= bit_of(InstanceFunction::export_state);
  if (FLYNN_HAS(table_, drain)) bits |= bit_of(InstanceFunction::drain);
  if (FLYNN_HAS(table_, stop)) bits |= bit_of(InstanceFunction::stop);
  if (FLYNN_HAS(table_, destroy)) bits |= bit_of(InstanceFunction::destroy);
  if (FLYNN_HAS(table_, hand_over)) bits |= bit_of(InstanceFunction::hand_over);
  if (FLYNN_HAS(table_, take_over)) bits |= bit_of(InstanceFunction::take_over);
  return bits;
}

flynn_status Inmate::create(Answer& answer, flynn_error& error) {
  // By its descriptor: the folder it lies in is closed to this process.
  auto image = PluginImage::load({"/proc/self/fd/" + std::to_string(image_fd_.get()), {}}, manifest_);
  if (!image) return fail(error, image.error());
  image_ = std::move(*image);
  void* self = nullptr;
  const flynn_instance_vt* table = nullptr;
  if (const auto status = image_->descriptor().create(host_.table(), &self, &table, &error); status != FLYNN_OK)
    return status;
  if (self == nullptr || !FLYNN_HAS(table, handle) || !FLYNN_HAS(table, destroy))
    return fail(error, {Code::failed_precondition, "create left no instance with handle and destroy"});
  self_ = self;
  table_ = table;
  const auto document = json::serialize(json::object{{"functions", functions()}});
  answer.table()->set_body(answer.table(), bytes_of(document));
  return FLYNN_OK;
}

flynn_status Inmate::run(Received& request, Answer& answer, flynn_error& error) {
  const auto name = request.frame.method;
  if (name == "create") return create(answer, error);
  if (table_ == nullptr) return fail(error, {Code::failed_precondition, "there is no instance"});
  std::vector<int> numbers;
  for (const auto& fd : request.fds) numbers.push_back(fd.get());
  const auto body = bytes_of(request.frame.body);
  const auto count = static_cast<std::uint32_t>(numbers.size());
  const auto deadline = request.frame.deadline_ns;
  // The host asks only for what functions() told.
  if (name == "configure" && table_->configure) return table_->configure(self_, body, &error);
  if (name == "import_state" && table_->import_state)
    return table_->import_state(self_, body, numbers.data(), count, &error);
  if (name == "start" && table_->start) return table_->start(self_, &error);
  if (name == "health" && table_->health) return table_->health(self_, &error);
  if (name == "activate" && table_->activate) return table_->activate(self_, &error);
  if (name == "quiesce" && table_->quiesce) return table_->quiesce(self_, &error);
  if (name == "resume" && table_->resume) return table_->resume(self_, &error);
  if (name == "export_state" && table_->export_state) return table_->export_state(self_, answer.table(), &error);
  if (name == "drain" && table_->drain) return table_->drain(self_, deadline, &error);
  if (name == "stop" && table_->stop) return table_->stop(self_, deadline, &error);
  if (name == "hand_over" && FLYNN_HAS(table_, hand_over))
    return table_->hand_over(self_, static_cast<std::uint32_t>(request.frame.code), deadline, answer.table(), &error);
  if (name == "take_over" && FLYNN_HAS(table_, take_over))
    return table_->take_over(self_, body, numbers.data(), count, &error);
  if (name == "destroy") {
    table_->destroy(self_);
    table_ = nullptr;
    return FLYNN_OK;
  }
  return fail(error, {Code::unimplemented, "the plugin has no " + std::string(name)});
}

void name_process(const std::string& slot) { ::prctl(PR_SET_NAME, ("cage-" + slot).substr(0, 15).c_str(), 0, 0, 0); }

int tell(ControlLane& control, const Error& error) {
  Frame frame;
  frame.code = static_cast<std::int32_t>(error.code);
  frame.method = error.message;
  (void)control.send(frame, Deadline::after(std::chrono::seconds(5)));
  return 1;
}

// The inmate's threads are its own until the process ends: none is joined.
int serve(ControlLane& control, Received setup, const json::object& document) {
  auto manifest = parse_manifest(string_or(document, "manifest"));
  if (!manifest) return tell(control, manifest.error());
  UniqueFd image = std::move(setup.fds.at(0));
  const auto walls = find_object(document, "walls");
  auto raised = raise_walls(walls == nullptr ? CageWalls{} : CageWalls::from(*walls), image.get());
  if (!raised) return tell(control, raised.error().context("raise the walls of the cage"));
  Frame ready;
  json::array told;
  for (const auto& wall : *raised) told.push_back(wall.document());
  const auto words = json::serialize(json::object{{"walls", std::move(told)}});
  ready.body = words;
  if (!control.send(ready)) return 1;
  static Inmate* inmate = new Inmate(std::move(*manifest), std::move(image), control, string_or(document, "info"));
  const auto start_lane = [](UniqueFd fd) {
    std::thread([lane = Lane(std::move(fd))]() mutable {
      inmate->serve(std::move(lane));
    }).detach();  // style: allow (ends with the process, which is how a cage ends)
  };
  start_lane(std::move(setup.fds.at(1)));
  while (auto frame = control.lane.receive({}))
    if (frame->frame.kind == FrameKind::lane && !frame->fds.empty()) start_lane(std::move(frame->fds.front()));
  return 0;
}

}  // namespace

int run_cage() {
  ::syscall(SYS_close_range, kControlFd + 1, ~0U, 0);
  ::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  // A handler, not SIG_IGN: that would be inherited by every program that the plugin starts.
  std::signal(SIGPIPE, [](int) {});
  static ControlLane control{Lane(UniqueFd(kControlFd))};
  auto setup = control.lane.receive(Deadline::after(std::chrono::seconds(30)));
  if (!setup || setup->frame.kind != FrameKind::setup || setup->fds.size() != 2) {
    std::fputs("flynn-host: cage is started by the host alone\n", stderr);
    ::_exit(64);
  }
  auto document = parse_json_object(setup->frame.body);
  if (!document) ::_exit(tell(control, document.error()));
  name_process(string_or(*document, "slot"));
  // Without exit handlers: the plugin's threads still run.
  ::_exit(serve(control, std::move(*setup), *document));
}

}  // namespace flynn::core
