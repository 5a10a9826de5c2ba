#include "active_record.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/unique_fd.h"
#include "plugin_signature.h"

namespace flynn::core {
namespace {

json::value to_json(const std::optional<RecordedVersion>& version) {
  if (!version) return nullptr;
  return json::object{{"path", version->path}, {"version", version->version}, {"digest", version->digest}};
}

std::optional<RecordedVersion> version_of(const json::object& document, std::string_view key) {
  const auto* version = find_object(document, key);
  if (version == nullptr) return std::nullopt;
  return RecordedVersion{string_or(*version, "path"), string_or(*version, "version"), string_or(*version, "digest")};
}

std::vector<std::int64_t> times_of(const json::object& document, std::string_view key) {
  std::vector<std::int64_t> times;
  if (const auto* list = find_array(document, key))
    for (const auto& time : *list)
      if (time.is_int64()) times.push_back(time.get_int64());
  return times;
}

Result<void> write_new(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return errno_error(errno, "make " + path);
  if (auto written = write_all(fd.get(), text, Deadline::none()); !written) return written.error().context(path);
  if (::fsync(fd.get()) != 0) return errno_error(errno, "sync " + path);
  return {};
}

}  // namespace

Result<ActiveRecord> ActiveRecord::load(std::filesystem::path file) {
  ActiveRecord record;
  record.file_ = std::move(file);
  std::ifstream stream(record.file_);
  if (!stream) return record;
  std::ostringstream text;
  text << stream.rdbuf();
  auto document = parse_json_object(text.str());
  if (!document) return document.error().context(record.file_.string());
  const auto* slots = find_object(*document, "slots");
  if (slots == nullptr) return record;
  for (const auto& [name, value] : *slots) {
    const auto* entry = value.if_object();
    if (entry == nullptr) continue;
    auto& slot = record.slots_[std::string(name)];
    slot.current = version_of(*entry, "current");
    slot.previous = version_of(*entry, "previous");
    slot.pending = version_of(*entry, "pending");
    slot.attempt = string_or(*entry, "attempt");
    slot.configured_digest = string_or(*entry, "configured_digest");
    slot.last_generation = int_or(*entry, "last_generation");
    slot.crashes = times_of(*entry, "crashes");
    slot.crashed_digest = string_or(*entry, "crashed_digest");
    slot.quarantined_digest = string_or(*entry, "quarantined_digest");
    slot.quarantined = string_or(*entry, "quarantined");
    slot.config = string_or(*entry, "config");
    slot.configured_config_digest = string_or(*entry, "configured_config_digest");
  }
  return record;
}

Result<void> ActiveRecord::save() const {
  json::object slots;
  for (const auto& [name, slot] : slots_)
    slots[name] = {{"current", to_json(slot.current)},
                   {"previous", to_json(slot.previous)},
                   {"pending", to_json(slot.pending)},
                   {"attempt", slot.attempt},
                   {"configured_digest", slot.configured_digest},
                   {"last_generation", slot.last_generation},
                   {"crashes", json::array(slot.crashes.begin(), slot.crashes.end())},
                   {"crashed_digest", slot.crashed_digest},
                   {"quarantined_digest", slot.quarantined_digest},
                   {"quarantined", slot.quarantined},
                   {"config", slot.config},
                   {"configured_config_digest", slot.configured_config_digest}};
  const std::string text = json::serialize(json::object{{"v", 1}, {"slots", slots}}) + "\n";
  const auto temporary = file_.string() + ".new";
  if (auto written = write_new(temporary, text); !written) {
    ::unlink(temporary.c_str());
    auto error = written.error();
    if (error.code == Code::resource_exhausted) error.message += ": free space on the disk of data_dir, then try again";
    return error.context("the record of what is in force can't be written");
  }
  if (::rename(temporary.c_str(), file_.c_str()) != 0) return errno_error(errno, "rename " + temporary);
  const UniqueFd folder(::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "sync " + file_.parent_path().string());
  return {};
}

void ActiveRecord::forget_other_files(const std::string& name, const std::filesystem::path& folder) const {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return;
  std::set<std::string> kept;
  for (const auto* version : {&found->second.current, &found->second.previous, &found->second.pending})
    if (*version) kept.insert({(*version)->path, signature_path((*version)->path).string()});
  std::error_code failure;
  for (std::filesystem::directory_iterator files(folder, failure), end; !failure && files != end;
       files.increment(failure))
    if (!kept.contains(files->path().string())) {
      std::error_code busy;
      std::filesystem::remove(files->path(), busy);
    }
}

}  // namespace flynn::core
