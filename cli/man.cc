#include "man.h"

#include <filesystem>
#include <fstream>

#include "version.h"

namespace flynn::cli {
namespace {

/// roff takes - for a hyphen, \ for an escape and a leading . or ' for a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
      out += c;
    }
  }
  return out;
}

std::string head(const std::string& name, std::string_view summary) {
  return ".TH " + roff(name) + " 1 \"\" \"flynn " + std::string(kVersion) + "\" \"Flynn\"\n.SH NAME\n" + roff(name) +
         " \\- " + roff(summary) + "\n";
}

std::string option_items(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    text += ".TP\n\\fB";
    if (option.letter != 0) text += std::string("\\-") + option.letter + "\\fR, \\fB";
    text += "\\-\\-" + roff(option.name) + "\\fR";
    if (!option.value.empty()) text += " \\fI" + roff(option.value) + "\\fR";
    text += "\n" + roff(option.help) + "\n";
  }
  return text;
}

constexpr std::string_view kExitStatus =
    ".SH \"EXIT STATUS\"\n"
    "0 done; 1 failed; 2 the command line can't be read; 3 not found; 4 the key is not accepted; 5 nothing answers; "
    "6 conflict; 7 not within the time.\n";

Status write_page(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text << std::flush;
  if (file) return Done{};
  return failure("write " + path.string(), "Check the folder's owner and mode, and the room on its disk.")
      .as(ErrorCode::kFileUnreadable);
}

}  // namespace

std::string man_name(std::string_view command) {
  std::string name = "flynn-" + std::string(command);
  for (char& c : name) {
    if (c == ' ') c = '-';
  }
  return name;
}

std::string man_page(const Command& command) {
  std::string text = head(man_name(command.name), command.summary);
  text += ".SH SYNOPSIS\n\\fBflynn " + roff(command.name) + "\\fR [\\fIoptions\\fR] " + roff(command.arguments) + "\n";
  text += ".SH DESCRIPTION\n" + roff(command.summary) + ".\n";
  text += ".SH OPTIONS\n" + option_items(all_options(command));
  text += ".SH \"JSON DOCUMENT\"\n" + roff(command.document) + "\n";
  text += kExitStatus;
  return text + ".SH \"SEE ALSO\"\n\\fBflynn\\fR(1)\n";
}

std::string man_overview(std::span<const Command> table) {
  std::string text = head("flynn", "client of the Flynn platform");
  text +=
      ".SH SYNOPSIS\n\\fBflynn\\fR [\\fIglobal options\\fR] \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]\n";
  text += ".SH \"GLOBAL OPTIONS\"\n" + option_items(global_options());
  text += ".SH COMMANDS\n";
  for (const Command& command : table) {
    if (command.hidden) continue;
    text += ".TP\n\\fB" + roff(command.name) + "\\fR " + roff(command.arguments) + "\n" + roff(command.summary) +
            ". See \\fB" + roff(man_name(command.name)) + "\\fR(1).\n";
  }
  text +=
      ".SH ENVIRONMENT\n.TP\n\\fBFLYNNRC\\fR\nrc file instead of ~/.flynnrc\n"
      ".TP\n\\fBFLYNN_APP\\fR, \\fBFLYNN_CLUSTER\\fR\napp and cluster when not named by options\n"
      ".TP\n\\fBFLYNN_ADMIN_SOCKET\\fR\ninstead of /run/flynn/admin.sock\n"
      ".TP\n\\fBNO_COLOR\\fR\nwhen set and not empty, no colour is used\n";
  return text + std::string(kExitStatus) +
         ".SH DIAGNOSTICS\nErrors end with a code; \\fBflynn help \\fIcode\\fR explains it.\n";
}

Status write_man(const std::string& folder, std::span<const Command> table) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  const std::filesystem::path base(folder);
  if (auto written = write_page(base / "flynn.1", man_overview(table)); !written) return written;
  for (const Command& command : table) {
    if (command.hidden) continue;
    auto written = write_page(base / (man_name(command.name) + ".1"), man_page(command));
    if (!written) return written;
  }
  return Done{};
}

}  // namespace flynn::cli
