#include "ssh_session.h"

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "confinement.h"
#include "flynn/sdk/clock.h"
#include "git_command.h"
#include "wire.h"

namespace flynn::builder {
namespace {

using namespace std::chrono_literals;
constexpr auto kLoginGrace = 30s;
constexpr auto kPluginPatience = 30s;
constexpr auto kHangUpPatience = 2s;
constexpr int kAuthAttemptsMax = 10;
constexpr std::size_t kCopyBytes = 65536;

class Session {
 public:
  Session(ssh_session session, UniqueFd control) : session_(session), control_(std::move(control)) {}
  int serve();

 private:
  static int on_auth(ssh_session, const char*, ssh_key_struct* key, char state, void* self);
  static ssh_channel on_channel(ssh_session, void* self);
  static int on_exec(ssh_session, ssh_channel, const char* command, void* self);
  static int on_env(ssh_session, ssh_channel, const char*, const char*, void*) { return 0; }
  static int on_data(ssh_session, ssh_channel, void* data, uint32_t size, int, void* self);
  static void on_eof(ssh_session, ssh_channel, void* self) { static_cast<Session*>(self)->client_eof_ = true; }
  static void on_close(ssh_session, ssh_channel, void* self) { static_cast<Session*>(self)->client_gone_ = true; }
  static int on_child(socket_t, int, void*) { return 0; }

  bool key_is_known(ssh_key_struct* key);
  void login();
  void relay();
  bool write_to_git();
  bool read_from_git(UniqueFd& from, bool is_error);
  void refuse(const std::string& text);
  void finish(int status);
  bool expired(Deadline deadline) const { return deadline.passed() || !ssh_is_connected(session_); }

  ssh_session session_;
  UniqueFd control_;
  ssh_event event_ = nullptr;
  ssh_channel channel_ = nullptr;
  ssh_channel_callbacks_struct channel_callbacks_{};
  std::string fingerprint_, command_, inbound_;
  UniqueFd to_git_, from_git_, errors_of_git_;
  int attempts_ = 0;
  bool authenticated_ = false, asked_ = false, client_eof_ = false, client_gone_ = false;
};

bool Session::key_is_known(ssh_key_struct* key) {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return false;
  std::string blob(text);
  ssh_string_free_char(text);
  if (!send_message(control_.get(), {{"auth", blob}})) return false;
  auto answer = receive_message(control_.get(), Deadline::after(kPluginPatience));
  if (!answer) return false;
  fingerprint_ = string_or(answer->body, "fingerprint");
  return bool_or(answer->body, "allowed");
}

// A probe (no signature yet) is answered for a known key; only a valid signature logs in.
int Session::on_auth(ssh_session, const char*, ssh_key_struct* key, char state, void* self) {
  auto& session = *static_cast<Session*>(self);
  if (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID) return SSH_AUTH_DENIED;
  if (++session.attempts_ > 2 * kAuthAttemptsMax || !session.key_is_known(key)) return SSH_AUTH_DENIED;
  if (state == SSH_PUBLICKEY_STATE_VALID) session.authenticated_ = true;
  return SSH_AUTH_SUCCESS;
}

ssh_channel Session::on_channel(ssh_session session, void* self) {
  auto& me = *static_cast<Session*>(self);
  if (!me.authenticated_ || me.channel_ != nullptr) return nullptr;
  me.channel_ = ssh_channel_new(session);
  me.channel_callbacks_.userdata = self;
  me.channel_callbacks_.channel_exec_request_function = on_exec;
  me.channel_callbacks_.channel_env_request_function = on_env;
  me.channel_callbacks_.channel_data_function = on_data;
  me.channel_callbacks_.channel_eof_function = on_eof;
  me.channel_callbacks_.channel_close_function = on_close;
  ssh_callbacks_init(&me.channel_callbacks_);
  ssh_set_channel_callbacks(me.channel_, &me.channel_callbacks_);
  return me.channel_;
}

// Only notes the command: what is written before the request is answered would be lost.
int Session::on_exec(ssh_session, ssh_channel, const char* command, void* self) {
  auto& me = *static_cast<Session*>(self);
  if (me.asked_) return 1;
  me.asked_ = true;
  me.command_ = command;
  return 0;
}

// Takes all of it: a callback that consumes a part hangs pushes above the window. The window itself bounds what waits
// here.
int Session::on_data(ssh_session, ssh_channel, void* data, uint32_t size, int is_error, void* self) {
  auto& me = *static_cast<Session*>(self);
  if (is_error == 0) me.inbound_.append(static_cast<const char*>(data), size);
  me.write_to_git();
  return static_cast<int>(size);
}

void Session::login() {
  Deadline deadline = Deadline::after(kLoginGrace);
  while (!asked_ && !client_gone_ && !expired(deadline)) {
    if (ssh_event_dopoll(event_, std::min(1000, deadline.left_ms())) == SSH_ERROR) break;
  }
}

bool Session::write_to_git() {
  while (to_git_ && !inbound_.empty()) {
    ssize_t written = ::write(to_git_.get(), inbound_.data(), inbound_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return false;
    if (written < 0) {
      to_git_.reset();
      inbound_.clear();
      return true;
    }
    inbound_.erase(0, static_cast<std::size_t>(written));
  }
  if (!to_git_) inbound_.clear();
  return true;
}

// Reads no more than the client's window takes, so that nothing piles up here.
bool Session::read_from_git(UniqueFd& from, bool is_error) {
  char buffer[kCopyBytes];
  std::size_t room = std::min<std::size_t>(sizeof buffer, ssh_channel_window_size(channel_));
  if (!from || room == 0) return false;
  ssize_t size = ::read(from.get(), buffer, room);
  if (size < 0) return errno == EINTR;
  if (size == 0) {
    from.reset();
    return false;
  }
  auto count = static_cast<uint32_t>(size);
  int sent = is_error ? ssh_channel_write_stderr(channel_, buffer, count) : ssh_channel_write(channel_, buffer, count);
  if (sent == SSH_ERROR) client_gone_ = true;
  return sent > 0;
}

void Session::relay() {
  for (int fd : {to_git_.get(), from_git_.get(), errors_of_git_.get()})
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  // The pipes stand in libssh's poll set only to wake it; the reading is done here.
  std::vector<int> watched;
  for (int fd : {from_git_.get(), errors_of_git_.get()}) {
    ssh_event_add_fd(event_, fd, POLLIN, on_child, this);
    watched.push_back(fd);
  }
  while (!client_gone_ && ssh_is_connected(session_) && (from_git_ || errors_of_git_)) {
    bool wrote_all = write_to_git();
    if (wrote_all && client_eof_) to_git_.reset();
    int out = from_git_.get(), err = errors_of_git_.get();
    bool moved = false;
    while (read_from_git(errors_of_git_, true)) moved = true;
    for (int i = 0; i < 16 && read_from_git(from_git_, false); ++i) moved = true;
    if (!from_git_ && out >= 0) ssh_event_remove_fd(event_, out);
    if (!errors_of_git_ && err >= 0) ssh_event_remove_fd(event_, err);
    // A full pipe towards git is tried again soon; everything else wakes the poll.
    int wait_ms = moved ? 0 : !wrote_all ? 5 : 1000;
    if (ssh_event_dopoll(event_, wait_ms) == SSH_ERROR) break;
  }
}

void Session::refuse(const std::string& text) {
  std::string line = "ERROR: " + text + "\n";
  ssh_channel_write_stderr(channel_, line.data(), static_cast<uint32_t>(line.size()));
  finish(1);
}

// Exit status, end of file, close, and then the client's own hang-up: else git prints that the connection was cut.
void Session::finish(int status) {
  if (client_gone_ || !ssh_is_connected(session_)) return;
  ssh_channel_request_send_exit_status(channel_, status);
  ssh_channel_send_eof(channel_);
  ssh_channel_close(channel_);
  Deadline deadline = Deadline::after(kHangUpPatience);
  while (!expired(deadline)) {
    if (ssh_event_dopoll(event_, std::min(200, deadline.left_ms())) == SSH_ERROR) break;
  }
}

int Session::serve() {
  ssh_server_callbacks_struct callbacks{};
  callbacks.userdata = this;
  callbacks.auth_pubkey_function = on_auth;
  callbacks.channel_open_request_session_function = on_channel;
  ssh_callbacks_init(&callbacks);
  ssh_set_server_callbacks(session_, &callbacks);
  ssh_set_auth_methods(session_, SSH_AUTH_METHOD_PUBLICKEY);
  if (ssh_handle_key_exchange(session_) != SSH_OK) return 1;
  event_ = ssh_event_new();
  ssh_event_add_session(event_, session_);
  login();
  if (!asked_) return 1;
  auto app = parse_git_command(command_);
  if (!app) return refuse(app.error().message), 1;
  if (!send_message(control_.get(), {{"receive", *app}, {"fingerprint", fingerprint_}})) return 1;
  auto answer = receive_message(control_.get(), Deadline::after(kPluginPatience));
  if (!answer) return refuse("the builder did not answer; push again"), 1;
  if (answer->fds.size() != 3) return refuse(string_or(answer->body, "error", "the builder refused")), 1;
  to_git_ = std::move(answer->fds[0]);
  from_git_ = std::move(answer->fds[1]);
  errors_of_git_ = std::move(answer->fds[2]);
  relay();
  if (client_gone_) return 1;
  to_git_.reset();
  auto ended = receive_message(control_.get(), Deadline::after(kPluginPatience));
  finish(ended ? static_cast<int>(int_or(ended->body, "exit", 1)) : 1);
  return 0;
}

}  // namespace

int serve_ssh_session(UniqueFd connection, UniqueFd control, const std::string& host_key_path, unsigned uid) {
  ssh_key key = nullptr;
  if (ssh_pki_import_privkey_file(host_key_path.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK) return 70;
  if (!drop_privileges(uid)) return 71;
  ssh_init();
  ssh_bind bind = ssh_bind_new();
  // The machine's sshd configuration is none of ours.
  bool process_config = false;
  ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config);
  if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) return 72;
  ssh_session session = ssh_new();
  if (ssh_bind_accept_fd(bind, session, connection.release()) != SSH_OK) return 73;
  int status = Session(session, std::move(control)).serve();
  ssh_disconnect(session);
  return status;
}

}  // namespace flynn::builder
