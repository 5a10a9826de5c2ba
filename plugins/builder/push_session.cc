#include "push_session.h"

#include <openssl/evp.h>
#include <poll.h>

#include <csignal>

#include "flynn/sdk/store.h"
#include "flynn/sdk/uuid.h"
#include "process/child.h"
#include "push_refs.h"
#include "repositories.h"

namespace flynn::builder {
namespace {

constexpr std::size_t kKeyBytesMax = 16384;
constexpr auto kProcessPatience = 10s;

std::string hex(const unsigned char* data, unsigned size) {
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[data[i] >> 4];
    text += "0123456789abcdef"[data[i] & 15];
  }
  return text;
}

// The store's key name of a public key: hex MD5 of the blob, as old `ssh-keygen -l` prints it, without colons.
Result<std::string> fingerprint_of(const std::string& base64) {
  if (base64.empty() || base64.size() > kKeyBytesMax || base64.size() % 4 != 0)
    return Error{Code::invalid_argument, "bad key"};
  std::vector<unsigned char> blob(base64.size());
  int size = EVP_DecodeBlock(blob.data(), reinterpret_cast<const unsigned char*>(base64.data()),
                             static_cast<int>(base64.size()));
  if (size <= 0) return Error{Code::invalid_argument, "bad key"};
  std::size_t length = static_cast<std::size_t>(size);
  if (base64.ends_with("=="))
    length -= 2;
  else if (base64.ends_with('='))
    length -= 1;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  if (EVP_Digest(blob.data(), length, digest, &digest_size, EVP_md5(), nullptr) != 1)
    return Error{Code::internal, "MD5 is not to be had"};
  return hex(digest, digest_size);
}

// "ssh-ed25519 AAAA… comment": the second word.
std::string blob_of(const std::string& line) {
  std::size_t begin = line.find(' ');
  if (begin == std::string::npos) return line;
  std::size_t end = line.find(' ', begin + 1);
  std::string word = line.substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
  while (!word.empty() && (word.back() == '\n' || word.back() == '\r')) word.pop_back();
  return word;
}

bool is_incoming_folder(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.size() < 100 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
             std::string::npos;
}

}  // namespace

Result<void> PushSession::start_process(UniqueFd connection) {
  auto pair = make_message_pair();
  if (!pair) return pair.error();
  const auto uid = std::to_string(config_.git_uid);
  std::vector<std::string> words{config_.session_program, "ssh", config_.data_dir + "/host_key", uid};
  if (transport_ == Transport::http) words = {config_.session_program, "http", uid};
  auto started = process::Child::start(words, {{connection.get(), 3}, {pair->second.get(), 4}});
  if (!started) return started.error();
  process_ = std::move(*started);
  control_ = std::move(pair->first);
  return {};
}

void PushSession::serve(UniqueFd connection) {
  if (auto started = start_process(std::move(connection)); !started) {
    log_.error("session_failed", {{"error", started.error().message}});
    return;
  }
  while (!stop_.asked()) {
    pollfd set[] = {{control_.get(), POLLIN, 0},
                    {stop_.fd(), POLLIN, 0},
                    {hook_.get(), POLLIN, 0},
                    {git_.running() ? git_.fd() : -1, POLLIN, 0}};
    if (::poll(set, 4, -1) < 0) continue;
    if (set[1].revents != 0) break;
    if (set[0].revents != 0) {
      auto request = receive_message(control_.get(), Deadline::after(kProcessPatience));
      if (!request || !handle(request->body)) break;
    } else if (set[2].revents != 0) {
      auto push = receive_message(hook_.get(), Deadline::after(kProcessPatience));
      if (push) answer_hook(push->body);
      hook_.reset();
    } else if (set[3].revents != 0) {
      auto status = git_.wait(Deadline::none());
      (void)send_message(control_.get(), {{"exit", status.value_or(1)}});
      log_.info("push_ended", {{"app", app_name_}, {"exit_status", status.value_or(1)}});
    }
  }
  control_.reset();
  git_.signal_group(SIGTERM);
  git_.end();
  // Without its control socket it ends by itself; the SSH connection still has its close to do.
  (void)process_.wait(Deadline::after(kProcessPatience));
  process_.end();
}

Result<void> PushSession::handle(const json::object& request) {
  if (auto blob = find_string(request, "auth"); blob && transport_ == Transport::ssh) return answer_key(*blob);
  if (find_string(request, "authorize") && transport_ == Transport::http) return answer_password(request);
  if (!find_string(request, "receive") || git_.running())
    return Error{Code::invalid_argument, "the session asks for something else"};
  auto started = start_receive(request);
  if (started) return {};
  return send_message(control_.get(),
                      {{"error", started.error().message}, {"unknown", started.error().code == Code::not_found}});
}

// The controller knows who may.
Result<void> PushSession::answer_password(const json::object& request) {
  auto answer = door_.call("flynn.controller/1", "Authorize",
                           {{"authorization", string_or(request, "authorize")}, {"app", string_or(request, "app")}});
  if (!answer) log_.warn("authorize_failed", {{"error", answer.error().message}});
  return send_message(control_.get(), {{"allowed", answer && bool_or(answer->body, "allowed")}});
}

Result<void> PushSession::answer_key(const std::string& blob) {
  auto fingerprint = fingerprint_of(blob);
  bool allowed = false;
  if (fingerprint) {
    auto known = StoreClient(door_).get("keys/" + *fingerprint);
    if (!known)
      log_.error("key_lookup_failed", {{"error", known.error().message}});
    else if (*known && (*known)->value.is_object())
      allowed = blob_of(string_or((*known)->value.get_object(), "key")) == blob;
  }
  if (!allowed) log_.info("key_refused", {{"fingerprint", fingerprint.value_or("")}});
  return send_message(control_.get(), {{"allowed", allowed}, {"fingerprint", fingerprint.value_or("")}});
}

Result<std::string> PushSession::find_app(const std::string& name) {
  StoreClient store(door_);
  if (is_uuid(name)) {
    auto app = store.get("apps/" + name);
    if (!app) return app.error();
    if (*app) return name;
  }
  auto entry = store.get("app-names/" + name);
  if (!entry) return entry.error().context("look up the app");
  std::string id = *entry && (*entry)->value.is_object() ? string_or((*entry)->value.get_object(), "app_id") : "";
  if (!is_uuid(id))
    return Error{Code::not_found, "Unknown app \"" + name + "\". Create it first: flynn create " + name};
  return id;
}

Result<void> PushSession::start_receive(const json::object& request) {
  const auto name = string_or(request, "receive");
  receive_start_ = std::chrono::steady_clock::now();
  auto app = find_app(name);
  if (!app) return app.error();
  app_id_ = *app;
  app_name_ = name;
  auto repository = prepare_repository(config_, app_id_);
  if (!repository) return repository.error();
  auto in = process::make_pipe(), out = process::make_pipe(), err = process::make_pipe();
  auto hook = make_message_pair();
  for (const auto* pipe : {&in, &out, &err}) {
    if (!*pipe) return pipe->error();
  }
  if (!hook) return hook.error();
  std::vector<std::string> words{config_.session_program, "receive", *repository, std::to_string(config_.git_uid),
                                 std::to_string(config_.push_bytes_max)};
  if (transport_ == Transport::http) {
    words[1] = "rpc";
    words.push_back(string_or(request, "service") == "git-upload-pack" ? "git-upload-pack" : "git-receive-pack");
    words.push_back(bool_or(request, "advertise") ? "advertise" : "answer");
  }
  auto git = process::Child::start(
      words, {{in->first.get(), 0}, {out->second.get(), 1}, {err->second.get(), 2}, {hook->second.get(), 3}});
  if (!git) return git.error();
  git_ = std::move(*git);
  hook_ = std::move(hook->first);
  if (!bool_or(request, "advertise"))
    log_.info("push_began", {{"app", name}, {"app_id", app_id_}, {"key", string_or(request, "fingerprint")}});
  return send_message(control_.get(), {{"started", true}}, {in->second.get(), out->first.get(), err->first.get()});
}

void PushSession::print(std::string_view line) { (void)send_message(hook_.get(), {{"line", line}}); }

void PushSession::answer_hook(const json::object& push) {
  const json::array* refs = find_array(push, "refs");
  auto chosen = choose_ref(refs != nullptr ? *refs : json::array{});
  if (!chosen) {
    print(chosen.error().message);
    (void)send_message(hook_.get(), {{"exit", 1}});
    return;
  }
  auto built = build_push(chosen->commit, chosen->branch, string_or(push, "quarantine"));
  if (!built) {
    log_.warn("build_failed", {{"app", app_name_}, {"commit", chosen->commit}, {"error", built.error().message}});
    print("ERROR: " + built.error().message);
  }
  (void)send_message(hook_.get(), {{"exit", built ? 0 : 1}});
}

Result<BuildOutcome> PushSession::build_push(const std::string& commit, const std::string& branch,
                                             const std::string& quarantine) {
  if (!quarantine.empty() && !is_incoming_folder(quarantine))
    return Error{Code::invalid_argument, "git named no folder of new objects"};
  auto received =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - receive_start_);
  BuildRequest request{new_uuid(), app_id_, commit, branch, {}, {{"receive", received.count()}}};
  process::Child exporter;
  UniqueFd words;
  auto open = [&]() -> Result<UniqueFd> {
    auto source = process::make_pipe(), errors = process::make_pipe();
    if (!source) return source.error();
    if (!errors) return errors.error();
    auto started = process::Child::start({config_.session_program, "export", config_.repository(app_id_), quarantine,
                                          commit, std::to_string(config_.git_uid)},
                                         {{source->second.get(), 1}, {errors->second.get(), 2}});
    if (!started) return started.error();
    exporter = std::move(*started);
    words = std::move(errors->first);
    return std::move(source->first);
  };
  auto close = [&]() -> Result<void> {
    std::string said = process::read_to_end(words.get(), 2000);
    auto status = exporter.wait(Deadline::after(kProcessPatience));
    if (!status) return status.error();
    if (*status != 0) return Error{Code::internal, said};
    auto report = parse_json_object(said);
    if (report && int_or(*report, "submodules") > 0) {
      print(" !     " + std::to_string(int_or(*report, "submodules")) +
            " submodule(s) are not part of the push and were left out");
    }
    return {};
  };
  return pipeline_.run(
      std::move(request), open, close, [this](std::string_view line) { print(line); }, cancel());
}

}  // namespace flynn::builder
