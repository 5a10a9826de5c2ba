#include "runtime_config.h"

#include <openssl/sha.h>

#include <array>

namespace flynn::core {

std::string digest_of_text(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> sum{};
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum.data());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const auto byte : sum) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

std::string config_at_boot(SlotRecord& record, const std::string& file_config) {
  if (record.config.empty()) return file_config;
  if (record.configured_config_digest == digest_of_text(file_config)) return record.config;
  record.config.clear();
  record.configured_config_digest.clear();
  return file_config;
}

void note_config(SlotRecord& record, const std::string& config, const std::string& file_config) {
  const bool as_in_file = config == file_config;
  record.config = as_in_file ? std::string() : config;
  record.configured_config_digest = as_in_file ? std::string() : digest_of_text(file_config);
}

}  // namespace flynn::core
