#include "cage.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "answer.h"
#include "cage_yard.h"
#include "thread_tag.h"

namespace flynn::core {
namespace {

constexpr std::chrono::seconds kCallTimeout{30}, kAnswerTimeout{30}, kKillTimeout{5};
// The plugin may answer at its deadline and not a moment sooner.
constexpr std::uint64_t kMarginNs = 200'000'000;
// Calls of a cage to the host that may be on their way at once, should it not keep to LanePool's limit.
constexpr std::size_t kServantsMax = kLanesMax;

flynn_status write_error(flynn_error* error, flynn_status status, std::string_view words) {
  if (error != nullptr) {
    error->code = status;
    error->message_size = static_cast<std::uint32_t>(std::min(words.size(), sizeof error->message));
    std::memcpy(error->message, words.data(), error->message_size);
  }
  return status;
}

Result<UniqueFd> open_image(const std::filesystem::path& image) {
  UniqueFd fd(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + image.string());
  return fd;
}

}  // namespace

Cage::Cage(CageSpec spec, Lane control, Lane lifecycle)
    : spec_(std::move(spec)),
      control_(std::move(control)),
      lifecycle_(std::move(lifecycle)),
      lanes_([this](Lane other_end) { return control_.hand_out(std::move(other_end)); }) {
  table_.struct_size = sizeof table_;
  table_.handle = &Cage::handle;
}

Cage::~Cage() {
  if (listener_.joinable()) listener_.join();
  for (auto& servant : servants_)
    if (servant.thread.joinable()) servant.thread.join();
}

Result<std::shared_ptr<Cage>> Cage::open(CageYard& yard, CageSpec spec, Deadline deadline) {
  auto image = open_image(spec.image);
  if (!image) return image.error();
  auto control = make_lane();
  auto lifecycle = make_lane();
  if (!control || !lifecycle) return (control ? lifecycle : control).error();
  const auto walls = spec.walls.document();
  const std::string setup = json::serialize(
      json::object{{"slot", spec.slot}, {"manifest", spec.manifest.text}, {"info", spec.info_json}, {"walls", walls}});
  std::shared_ptr<Cage> cage(new Cage(std::move(spec), std::move(control->first), std::move(lifecycle->first)));
  auto started = yard.spawn(cage->spec_.slot, cage->spec_.walls.run_dir, std::move(control->second));
  if (!started) return started.error();
  cage->pid_ = started->pid;
  cage->pidfd_ = std::move(started->pidfd);
  yard.watch(cage);
  const std::array<int, 2> fds{image->get(), lifecycle->second.fd()};
  Frame frame;
  frame.kind = FrameKind::setup;
  frame.body = setup;
  frame.fds = fds.data();
  frame.fd_count = 2;
  auto sent = cage->control_.send(frame, deadline);
  auto ready = sent ? cage->control_.lane.receive(deadline) : Result<Received>(sent.error());
  if (ready && ready->frame.code != FLYNN_OK)
    ready = Error{code_from_status(ready->frame.code), std::string(ready->frame.method)};
  if (!ready) {
    cage->close(deadline);
    const auto end = cage->end();
    auto error = ready.error();
    if (error.code == Code::unavailable && end) error.message = "its process ended: " + end->words;
    return error.context("make a cage for " + cage->spec_.slot);
  }
  if (auto told = parse_json_object(ready->frame.body))
    if (const auto* raised = find_array(*told, "walls"))
      for (const auto& wall : *raised)
        if (wall.is_object()) cage->raised_.push_back(Wall::from(wall.get_object()));
  {
    const std::lock_guard lock(cage->mutex_);
    cage->listening_ = true;
  }
  cage->listener_ = std::thread([raw = cage.get()] { raw->listen(); });
  return cage;
}

std::optional<CageEnd> Cage::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void Cage::kill() const { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

void Cage::give_up() {
  const std::lock_guard lock(mutex_);
  closing_ = killed_ = true;
  kill();
}

bool Cage::close(Deadline deadline) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  ::shutdown(control_.lane.fd(), SHUT_RDWR);
  if (ended_.wait_for(lock, deadline.left(), [this] { return end_.has_value(); })) return !end_->fault;
  killed_ = true;
  lock.unlock();
  kill();
  lock.lock();
  ended_.wait_for(lock, kKillTimeout, [this] { return end_.has_value(); });
  return false;
}

void Cage::process_ended(int code, int status) {
  CageEnd end;
  if (code == CLD_EXITED) {
    end.words = "exit code " + std::to_string(status);
  } else {
    const char* name = ::sigabbrev_np(status);
    end.words = "signal " + std::to_string(status) + (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
  }
  {
    const std::lock_guard lock(mutex_);
    // Killed by somebody else while we closed it: its start had failed of that, and nobody asked for its end.
    end.expected = closing_ && (killed_ || code == CLD_EXITED || status != SIGKILL);
    end.fault = code == CLD_EXITED ? !(closing_ && status == 0) : status != SIGKILL && status != SIGTERM;
    end_ = end;
  }
  ended_.notify_all();
  // A program that the plugin started may still hold the other ends.
  lanes_.close();
  ::shutdown(lifecycle_.fd(), SHUT_RDWR);
  ::shutdown(control_.lane.fd(), SHUT_RDWR);
  end_servants();
}

bool Cage::at_rest() const {
  const std::lock_guard lock(mutex_);
  return end_ && !listening_ &&
         std::all_of(servants_.begin(), servants_.end(), [](const Servant& servant) { return servant.done; });
}

flynn_status Cage::create(flynn_error* error) {
  std::string functions;
  Answer answer;
  const auto status = phase(InstanceFunction::create, {}, answer.table(), error);
  if (status != FLYNN_OK) return status;
  const auto told = parse_json_object(answer.frame(FLYNN_OK).body);
  if (!told) return write_error(error, FLYNN_E_INTERNAL, told.error().message);
  fill_table(static_cast<std::uint32_t>(int_or(*told, "functions")));
  return FLYNN_OK;
}

// What the instance lacks stays NULL here as well: that says something to the host.
void Cage::fill_table(std::uint32_t functions) {
  const auto has = [functions](InstanceFunction function) { return (functions & bit_of(function)) != 0; };
  table_.destroy = [](void* me) { (void)self(me).phase(InstanceFunction::destroy, {}, nullptr, nullptr); };
  if (has(InstanceFunction::configure))
    table_.configure = [](void* me, flynn_bytes config, flynn_error* error) {
      Frame request;
      request.body = view_of(config);
      return self(me).phase(InstanceFunction::configure, request, nullptr, error);
    };
  const auto receive = [](InstanceFunction function, void* me, flynn_bytes body, const int* fds, std::uint32_t count,
                          flynn_error* error) {
    Frame request;
    request.body = view_of(body);
    request.fds = fds;
    request.fd_count = count;
    return self(me).phase(function, request, nullptr, error);
  };
  static constexpr auto kReceive = receive;
  if (has(InstanceFunction::import_state))
    table_.import_state = [](void* me, flynn_bytes body, const int* fds, std::uint32_t count, flynn_error* error) {
      return kReceive(InstanceFunction::import_state, me, body, fds, count, error);
    };
  if (has(InstanceFunction::take_over))
    table_.take_over = [](void* me, flynn_bytes body, const int* fds, std::uint32_t count, flynn_error* error) {
      return kReceive(InstanceFunction::take_over, me, body, fds, count, error);
    };
  if (has(InstanceFunction::start))
    table_.start = [](void* me, flynn_error* error) {
      return self(me).phase(InstanceFunction::start, {}, nullptr, error);
    };
  if (has(InstanceFunction::health))
    table_.health = [](void* me, flynn_error* error) {
      return self(me).phase(InstanceFunction::health, {}, nullptr, error);
    };
  if (has(InstanceFunction::activate))
    table_.activate = [](void* me, flynn_error* error) {
      return self(me).phase(InstanceFunction::activate, {}, nullptr, error);
    };
  if (has(InstanceFunction::quiesce))
    table_.quiesce = [](void* me, flynn_error* error) {
      return self(me).phase(InstanceFunction::quiesce, {}, nullptr, error);
    };
  if (has(InstanceFunction::resume))
    table_.resume = [](void* me, flynn_error* error) {
      return self(me).phase(InstanceFunction::resume, {}, nullptr, error);
    };
  if (has(InstanceFunction::export_state))
    table_.export_state = [](void* me, flynn_reply* state, flynn_error* error) {
      return self(me).phase(InstanceFunction::export_state, {}, state, error);
    };
  if (has(InstanceFunction::drain))
    table_.drain = [](void* me, std::uint64_t deadline_ns, flynn_error* error) {
      Frame request;
      request.deadline_ns = deadline_ns;
      return self(me).phase(InstanceFunction::drain, request, nullptr, error);
    };
  if (has(InstanceFunction::stop))
    table_.stop = [](void* me, std::uint64_t deadline_ns, flynn_error* error) {
      Frame request;
      request.deadline_ns = deadline_ns;
      return self(me).phase(InstanceFunction::stop, request, nullptr, error);
    };
  if (has(InstanceFunction::hand_over))
    table_.hand_over = [](void* me, std::uint32_t share_permille, std::uint64_t deadline_ns, flynn_reply* reply,
                          flynn_error* error) {
      Frame request;
      request.code = static_cast<std::int32_t>(share_permille);
      request.deadline_ns = deadline_ns;
      return self(me).phase(InstanceFunction::hand_over, request, reply, error);
    };
}

// Waits as long as it takes: the host's patience is that of Generation, which ends the process, and so the lane.
flynn_status Cage::phase(InstanceFunction function, Frame request, flynn_reply* reply, flynn_error* error) {
  request.kind = FrameKind::phase;
  request.method = kFunctionNames.at(static_cast<std::size_t>(function));
  const auto failed = [&](const Error& why) {
    const auto ended = end();
    const auto words = ended ? "its process ended: " + ended->words : why.message;
    return write_error(error, static_cast<flynn_status>(why.code), words);
  };
  if (auto sent = lifecycle_.send(request, {}); !sent) return failed(sent.error());
  auto answer = lifecycle_.receive({});
  if (!answer) return failed(answer.error());
  if (answer->frame.code != FLYNN_OK) return write_error(error, answer->frame.code, answer->frame.method);
  return reply == nullptr ? static_cast<flynn_status>(FLYNN_OK) : give(*answer, reply);
}

flynn_status Cage::handle(void* instance, const flynn_call* call, flynn_reply* reply) {
  auto& me = self(instance);
  auto request = frame_of(FrameKind::handle, *call);
  if (request.deadline_ns == 0) request.deadline_ns = Deadline::after(kCallTimeout).ns;
  flynn_status status = FLYNN_E_INTERNAL;
  const auto done = me.lanes_.exchange(request, Deadline{request.deadline_ns + kMarginNs},
                                       [&](Received& answer) { status = give(answer, reply); });
  if (done) return status;
  if (done.error().code != Code::unavailable) return refuse(reply, done.error().context(me.spec_.slot));
  return refuse(reply, {Code::unavailable, me.spec_.slot + ": its cage has ended, it is being started again"});
}

void Cage::listen() {
  name_this_thread("cage-" + spec_.slot);
  while (auto received = control_.lane.receive({})) {
    const auto& frame = received->frame;
    if (frame.kind == FrameKind::log)
      spec_.host->log(spec_.host.get(), frame.code, bytes_of(frame.method), bytes_of(frame.body));
    else if (frame.kind == FrameKind::lane && !received->fds.empty())
      start_servant(Lane(std::move(received->fds.front())));
  }
  const std::lock_guard lock(mutex_);
  // A frame that is none, or the end: a process without a host has nothing to do. One that we close ends by itself.
  if (!closing_) kill();
  listening_ = false;
}

void Cage::start_servant(Lane lane) {
  const std::lock_guard lock(mutex_);
  for (auto servant = servants_.begin(); servant != servants_.end();) {
    if (!servant->done) {
      ++servant;
      continue;
    }
    servant->thread.join();
    servant = servants_.erase(servant);
  }
  if (end_ || servants_.size() >= kServantsMax) return;  // its end of the lane closes
  served_.insert(lane.fd());
  auto& servant = servants_.emplace_back();
  servant.thread = std::thread([this, &servant, lane = std::move(lane)]() mutable {
    name_this_thread("cage-" + spec_.slot);
    serve(lane);
    const std::lock_guard done(mutex_);
    served_.erase(lane.fd());
    servant.done = true;
  });
}

void Cage::serve(Lane& lane) {
  while (auto request = lane.receive({})) {
    Answer answer;
    flynn_status status = FLYNN_E_UNIMPLEMENTED;
    if (request->frame.kind == FrameKind::call) {
      std::vector<int> numbers;
      const auto call = call_of(*request, numbers);
      status = spec_.host->call(spec_.host.get(), &call, answer.table());
    } else if (request->frame.kind == FrameKind::listener) {
      int fd = -1;
      flynn_error error{};
      error.struct_size = sizeof error;
      status = spec_.host->listener(spec_.host.get(), bytes_of(request->frame.method), &fd, &error);
      if (status == FLYNN_OK)
        answer.table()->add_fd(answer.table(), fd);
      else
        answer.table()->set_error(answer.table(), status, {error.message, error.message_size}, {});
    }
    if (!lane.send(answer.frame(status), Deadline::after(kAnswerTimeout))) return;
  }
}

void Cage::end_servants() {
  const std::lock_guard lock(mutex_);
  for (const int fd : served_) ::shutdown(fd, SHUT_RDWR);
}

}  // namespace flynn::core
