#include "flynn/sdk/host.h"

#include "abi.h"

namespace flynn {

Result<Reply> Host::call(std::string_view interface, std::string_view method, const json::object& body,
                         Deadline deadline, const std::vector<int>& fds) {
  const std::string text = json::serialize(body);
  flynn_call request{};
  request.struct_size = sizeof request;
  request.fds = fds.data();
  request.fd_count = static_cast<std::uint32_t>(fds.size());
  request.interface = abi1::bytes(interface);
  request.method = abi1::bytes(method);
  request.body = abi1::bytes(text);
  request.deadline_ns = deadline.ns;
  abi1::ReplyCollector collector;
  const flynn_status status = table_->call(table_, &request, collector.table());
  return collector.take(status);
}

void Host::write(LogLevel level, std::string_view event, const json::object& fields) {
  const std::string text = fields.empty() ? std::string() : json::serialize(fields);
  table_->log(table_, static_cast<std::int32_t>(level), abi1::bytes(event), abi1::bytes(text));
}

Result<UniqueFd> Host::listener(std::string_view name) {
  int fd = -1;
  flynn_error error{};
  error.struct_size = sizeof error;
  const flynn_status status = table_->listener(table_, abi1::bytes(name), &fd, &error);
  if (status != FLYNN_OK) return abi1::read_error(status, error);
  return UniqueFd(fd);
}

Result<InstanceInfo> Host::info() {
  abi1::ReplyCollector collector;
  table_->info(table_, collector.table());
  auto reply = collector.take(FLYNN_OK);
  if (!reply) return reply.error();
  const auto& body = reply->body;
  return InstanceInfo{string_or(body, "slot"),     string_or(body, "version"), string_or(body, "node"),
                      string_or(body, "data_dir"), string_or(body, "run_dir"), int_or(body, "generation")};
}

}  // namespace flynn
