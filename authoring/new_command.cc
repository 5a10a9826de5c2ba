#include "new_command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "contract.h"
#include "help.h"

namespace flynn::authoring {
namespace {

constexpr const char* kUsage = "usage: flynn-plugin new NAME --implements INTERFACE/MAJOR --lang c|cpp [--dir DIR]\n";

struct Project {
  std::string name, interface, language = "cpp";
  std::filesystem::path folder;
  std::vector<std::string> methods;
  std::uint32_t minor = 0;  // that has all of them
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// With its ending it is neither the SDK's Plugin nor the name of a method.
std::string class_name(const std::string& name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c == '-' || c == '_') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out + "Plugin";
}

// The project's target has the plugin's name; these are CMake's own.
bool is_reserved_target(const std::string& name) {
  static const std::set<std::string> kReserved{"all",  "clean",   "edit_cache",    "help",           "install",
                                               "test", "package", "rebuild_cache", "package_source", "preinstall"};
  return kReserved.contains(name);
}

std::string cmake_text(const Project& project) {
  const bool c = project.language == "c";
  return "cmake_minimum_required(VERSION 3.25)\nproject(" + project.name + (c ? " C" : " C CXX") +
         ")\nfind_package(FlynnPlugin REQUIRED)\nflynn_add_plugin(" + project.name +
         " MANIFEST manifest.json SOURCES " + project.name + (c ? ".c LANGUAGE C" : ".cc") +
         ")\n\n# `ctest`: is it a plugin (it is from the start), and does it keep the contract of what it provides "
         "(once its "
         "methods do\n# what they say).\nenable_testing()\n"
         "find_program(FLYNN_PLUGIN flynn-plugin)\n"
         "set(FLYNN_CHECK_WITH \"\" CACHE STRING \"plugins that provide what this one requires: a list of .so "
         "files\")\n"
         "set(with)\nforeach(provider ${FLYNN_CHECK_WITH})\n  list(APPEND with --with ${provider})\nendforeach()\n"
         "foreach(part plugin contract)\n  add_test(NAME ${part} COMMAND ${FLYNN_PLUGIN} check $<TARGET_FILE:" +
         project.name + "> --only ${part} ${with})\nendforeach()\n";
}

std::string manifest_text(const Project& project) {
  return "{\n  \"name\": \"" + project.name +
         "\",\n  \"version\": \"0.1.0\",\n  \"abi\": \"1.0\",\n  \"description\": \"" + project.interface + " by " +
         project.name + "\",\n  \"provides\": [\"" + project.interface + "." + std::to_string(project.minor) +
         "\"],\n" +
         "  \"requires\": [],\n  \"capabilities\": [],\n  \"swap\": \"overlap\",\n  \"config\": {\n"
         "    \"type\": \"object\",\n    \"properties\": {\n"
         "      \"greeting\": {\"type\": \"string\", \"default\": \"hello\", \"description\": \"an example: replace "
         "it\"}\n"
         "    },\n    \"additionalProperties\": false\n  }\n}\n";
}

std::string cpp_text(const Project& project) {
  std::string registered, functions;
  for (const auto& method : project.methods) {
    registered +=
        "    on(kInterface, \"" + method + "\", [this](flynn::Call& call) { return " + method + "(call); });\n";
    functions += "  flynn::Result<flynn::Reply> " + method +
                 "(flynn::Call&) {\n    return flynn::Error{flynn::Code::unimplemented, \"" + project.name +
                 " does not do " + method + " yet\"};\n  }\n";
  }
  return replaced(replaced(R"(// NAME: what it does.
#include <flynn/sdk/plugin.h>

#include <string>

namespace {

constexpr const char* kInterface = ")" +
                               project.interface + R"(";

class CLASS : public flynn::Plugin {
 public:
  explicit CLASS(flynn::Host& host) : Plugin(host) {
)" + registered + R"(  }

  // Again on a running instance: apply it, or answer restart_required and change nothing.
  flynn::Result<void> configure(const flynn::json::object& config) override {
    greeting_ = flynn::string_or(config, "greeting", "hello");
    return {};
  }
  // Open files, connect, load, start threads; not yet: accept, act on the world.
  flynn::Result<void> start() override { return {}; }
  // The slot is ours.
  flynn::Result<void> activate() override {
    host().info("started", {{"greeting", greeting_}});
    return {};
  }
  // End everything, join every thread: after this nothing of the image may run.
  flynn::Result<void> stop(flynn::Deadline) override { return {}; }

 private:
)" + functions + R"(
  std::string greeting_;
};

}  // namespace

FLYNN_PLUGIN(CLASS)
)",
                           "CLASS", class_name(project.name)),
                  "NAME", project.name);
}

std::string c_text(const Project& project) {
  std::string answers;
  for (const auto& method : project.methods)
    answers += "  if (is(call->method, \"" + method + "\")) return fail(reply, FLYNN_E_UNIMPLEMENTED, \"" +
               project.name + " does not do " + method + " yet\");\n";
  return replaced(R"(/* NAME: what it does. Rules of the ABI: flynn/plugin.h. */
#include <flynn/plugin.h>
#include <stdlib.h>
#include <string.h>

struct instance {
  const flynn_host* host;
};

static flynn_bytes text(const char* words) { return (flynn_bytes){words, strlen(words)}; }

static int is(flynn_bytes a, const char* b) { return a.size == strlen(b) && memcmp(a.data, b, a.size) == 0; }

static flynn_status fail(flynn_reply* reply, flynn_status code, const char* words) {
  reply->set_error(reply, code, text(words), text(""));
  return code;
}

/* Open files, connect, load, start threads; not yet: accept, act on the world. */
static flynn_status start(void* self, flynn_error* error) {
  (void)self, (void)error;
  return FLYNN_OK;
}

/* End everything, join every thread: after this nothing of the image may run. */
static flynn_status stop(void* self, uint64_t deadline_ns, flynn_error* error) {
  (void)self, (void)deadline_ns, (void)error;
  return FLYNN_OK;
}

static void destroy(void* self) { free(self); }

static flynn_status handle(void* self, const flynn_call* call, flynn_reply* reply) {
  (void)self;
)" + answers + R"(  return fail(reply, FLYNN_E_UNIMPLEMENTED, "there is no such method");
}

static const flynn_instance_vt table = {
    .struct_size = sizeof table, .start = start, .stop = stop, .destroy = destroy, .handle = handle};

static flynn_status create(const flynn_host* host, void** self, const flynn_instance_vt** vt, flynn_error* error) {
  (void)error;
  struct instance* made = calloc(1, sizeof *made);
  if (made == NULL) return FLYNN_E_RESOURCE_EXHAUSTED;
  made->host = host;
  *self = made;
  *vt = &table;
  return FLYNN_OK;
}

__attribute__((visibility("default"))) const flynn_plugin* flynn_plugin_entry_1(void) {
  static const flynn_plugin descriptor = {sizeof descriptor, FLYNN_ABI_MAJOR, FLYNN_ABI_MINOR, create};
  return &descriptor;
}
)",
                  "NAME", project.name);
}

// Empty, or why nobody could give an interface of that name.
std::string interface_fault(const std::string& interface) {
  const auto known = interfaces_with_contract();
  if (!interface.starts_with("flynn.") || std::find(known.begin(), known.end(), interface) != known.end()) return {};
  std::string words = "a plugin can't implement " + interface + ": of the names flynn.… there are";
  for (const auto& name : known) words += "\n  " + name;
  return words + "\none of your own has another name, such as com.example.thing/1";
}

Result<void> take_methods(Project& project) {
  auto contract = load_contract(project.interface);
  if (!contract) return contract.error();
  if (*contract)
    for (const auto& method : (*contract)->methods) {
      project.methods.push_back(method.name);
      project.minor = std::max(project.minor, method.since);
    }
  if (project.methods.empty()) project.methods = {"Hello"};
  return {};
}

Result<Project> parse(const std::vector<std::string>& arguments) {
  Project project;
  std::string folder;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& word = arguments[i];
    if ((word == "--implements" || word == "--lang" || word == "--dir") && i + 1 == arguments.size())
      return Error{Code::invalid_argument, word + " wants a value"};
    if (word == "--implements")
      project.interface = arguments[++i];
    else if (word == "--lang")
      project.language = arguments[++i];
    else if (word == "--dir")
      folder = arguments[++i];
    else if (project.name.empty() && !word.starts_with("-"))
      project.name = word;
    else
      return Error{Code::invalid_argument, "\"" + word + "\" is not understood"};
  }
  if (!core::is_slot_name(project.name))
    return Error{Code::invalid_argument, "a plugin's NAME is a letter, then at most 63 letters, digits, '-' or '_'"};
  if (is_reserved_target(project.name))
    return Error{Code::invalid_argument, "NAME can't be \"" + project.name + "\": CMake has a target of that name"};
  if (project.language != "c" && project.language != "cpp")
    return Error{Code::invalid_argument, "--lang is c or cpp, not \"" + project.language + "\""};
  const auto interface = core::InterfaceId::parse(project.interface);
  if (!interface || project.interface.find('.', project.interface.find('/')) != std::string::npos)
    return Error{
        Code::invalid_argument,
        "--implements wants an interface and its major: flynn.database/1, or one of your own: com.example.thing/1"};
  project.interface = interface->name + "/" + std::to_string(interface->major);
  project.folder = folder.empty() ? project.name : folder;
  if (auto wrong = interface_fault(project.interface); !wrong.empty())
    return Error{Code::invalid_argument, std::move(wrong)};
  if (auto taken = take_methods(project); !taken) return taken.error();
  return project;
}

bool write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

int run_new(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) return std::fputs(kUsage, stdout), 0;
  auto project = parse(arguments);
  if (!project) return std::fprintf(stderr, "flynn-plugin: %s\n%s", project.error().message.c_str(), kUsage), 64;
  std::error_code failure;
  if (!std::filesystem::create_directories(project->folder, failure)) {
    const auto why = failure ? failure.message() : std::string("it exists; choose another with --dir");
    return std::fprintf(stderr, "flynn-plugin: make %s: %s\n", project->folder.c_str(), why.c_str()), 1;
  }
  const bool c = project->language == "c";
  const bool written =
      write(project->folder / "CMakeLists.txt", cmake_text(*project)) &&
      write(project->folder / "manifest.json", manifest_text(*project)) &&
      write(project->folder / (project->name + (c ? ".c" : ".cc")), c ? c_text(*project) : cpp_text(*project));
  if (!written) {
    const int reason = errno;
    std::filesystem::remove_all(project->folder, failure);  // it was made above
    return std::fprintf(stderr, "flynn-plugin: write into %s: %s; nothing is left of it\n", project->folder.c_str(),
                        std::strerror(reason)),
           1;
  }
  std::printf(
      "%s: a plugin that provides %s\n  cd %s && cmake -G Ninja -B build && ninja -C build && ctest --test-dir build "
      "-R plugin\n"
      "  ctest --test-dir build -R contract    what its methods must still do\n"
      "  flynn-plugin dev    builds and swaps it into a running node at each change\n",
      project->folder.c_str(), project->interface.c_str(), project->folder.c_str());
  return 0;
}

}  // namespace flynn::authoring
