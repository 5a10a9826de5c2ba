#include "address_pool.h"

#include <arpa/inet.h>

#include <charconv>

namespace flynn::host {

Result<Subnet> Subnet::parse(const std::string& text) {
  const Error wrong{Code::invalid_argument, "subnet " + text + " must be like 10.99.0.0/20, /8 to /29"};
  const auto slash = text.find('/');
  if (slash == std::string::npos) return wrong;
  in_addr address{};
  if (::inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1) return wrong;
  Subnet subnet;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, subnet.bits);
  if (parsed.ec != std::errc() || parsed.ptr != end || subnet.bits < 8 || subnet.bits > 29) return wrong;
  subnet.network = ntohl(address.s_addr) & ~(subnet.size() - 1);
  return subnet;
}

std::string Subnet::address(std::uint32_t offset) const {
  in_addr address{htonl(network + offset)};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

std::string Subnet::text() const { return address(0) + "/" + std::to_string(bits); }

Result<std::string> AddressPool::take(const std::string& job_id) {
  std::lock_guard lock(mutex_);
  if (auto known = by_job_.find(job_id); known != by_job_.end()) return subnet_.address(known->second);
  const auto last = subnet_.size() - 2;  // the last one is the broadcast address
  for (std::uint32_t tried = 0; tried < last; ++tried) {
    const auto offset = next_;
    next_ = next_ >= last ? 2 : next_ + 1;
    if (!taken_.insert(offset).second) continue;
    by_job_[job_id] = offset;
    return subnet_.address(offset);
  }
  return Error{Code::resource_exhausted, "every address of " + subnet_.text() + " is taken"};
}

Result<void> AddressPool::claim(const std::string& job_id, const std::string& address) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1)
    return Error{Code::invalid_argument, "no address: " + address};
  const auto offset = ntohl(parsed.s_addr) - subnet_.network;
  if (offset < 2 || offset > subnet_.size() - 2) {
    return Error{Code::invalid_argument, address + " is outside of " + subnet_.text()};
  }
  std::lock_guard lock(mutex_);
  if (auto known = by_job_.find(job_id); known != by_job_.end() && known->second == offset) return {};
  if (!taken_.insert(offset).second) return Error{Code::conflict, address + " belongs to another job"};
  by_job_[job_id] = offset;
  return {};
}

void AddressPool::release(const std::string& job_id) {
  std::lock_guard lock(mutex_);
  const auto known = by_job_.find(job_id);
  if (known == by_job_.end()) return;
  taken_.erase(known->second);
  by_job_.erase(known);
}

}  // namespace flynn::host
