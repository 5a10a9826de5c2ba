// Tars as Docker makes them, and as somebody might who means no good: header blocks written byte by byte.
#pragma once

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace flynn::images {

struct TarEntry {
  std::string path;
  char type = '0';  // '0' file, '1' hard link, '2' symlink, '3' character device, '5' folder, '6' pipe
  std::string content, target;
  int mode = 0644, uid = 0, gid = 0, major = 0, minor = 0;
  std::map<std::string, std::string> attributes;
};

class TarMaker {
 public:
  TarMaker& add(const TarEntry& entry) {
    std::string records;
    for (const auto& [name, value] : entry.attributes) records += record("SCHILY.xattr." + name, value);
    if (entry.path.size() > 100) records += record("path", entry.path);
    if (!records.empty()) block({"pax", 'x', records, "", 0644, 0, 0, 0, 0, {}});
    block(entry);
    return *this;
  }
  TarMaker& folder(const std::string& path, int mode = 0755) { return add({path, '5', "", "", mode, 0, 0, 0, 0, {}}); }
  TarMaker& file(const std::string& path, const std::string& content = "") {
    return add({path, '0', content, "", 0644, 0, 0, 0, 0, {}});
  }
  TarMaker& link(const std::string& path, const std::string& target, char type = '2') {
    return add({path, type, "", target, 0777, 0, 0, 0, 0, {}});
  }
  /// A file that is one hole: claims any size, and takes no room.
  TarMaker& sparse(const std::string& path, long long size) {
    block({"pax",
           'x',
           record("GNU.sparse.size", std::to_string(size)) + record("GNU.sparse.map", "0,0"),
           "",
           0644,
           0,
           0,
           0,
           0,
           {}});
    block({path, '0', "", "", 0644, 0, 0, 0, 0, {}});
    return *this;
  }
  std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

 private:
  static std::string record(const std::string& name, const std::string& value) {
    const std::string rest = " " + name + "=" + value + "\n";
    std::size_t size = rest.size() + 1;
    while (std::to_string(size).size() + rest.size() != size) ++size;
    return std::to_string(size) + rest;
  }
  void block(const TarEntry& entry) {
    std::string head(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { head.replace(at, text.size(), text); };
    const auto octal = [&](std::size_t at, int digits, unsigned long value) {
      char text[32];
      std::snprintf(text, sizeof text, "%0*lo", digits, value);
      put(at, text);
    };
    put(0, entry.path.substr(0, 100));
    octal(100, 7, static_cast<unsigned long>(entry.mode));
    octal(108, 7, static_cast<unsigned long>(entry.uid));
    octal(116, 7, static_cast<unsigned long>(entry.gid));
    octal(124, 11, entry.content.size());
    octal(136, 11, 1'000'000'000);
    head[156] = entry.type;
    put(157, entry.target.substr(0, 100));
    put(257, std::string("ustar\0"
                         "00",
                         8));
    octal(329, 7, static_cast<unsigned long>(entry.major));
    octal(337, 7, static_cast<unsigned long>(entry.minor));
    put(148, std::string(8, ' '));
    unsigned sum = 0;
    for (const char c : head) sum += static_cast<unsigned char>(c);
    octal(148, 6, sum);
    head[154] = '\0';
    bytes_ += head + entry.content;
    bytes_.resize((bytes_.size() + 511) / 512 * 512, '\0');
  }
  std::string bytes_;
};

}  // namespace flynn::images
