#include "abi.h"

namespace flynn::abi1 {

ReplyCollector::ReplyCollector() {
  table_.struct_size = sizeof table_;
  table_.ctx = this;
  table_.set_body = [](flynn_reply* reply, flynn_bytes body) { self(reply).body_.assign(view(body)); };
  table_.add_fd = [](flynn_reply* reply, int fd) { self(reply).fds_.emplace_back(fd); };
  table_.set_error = [](flynn_reply* reply, flynn_status, flynn_bytes message, flynn_bytes) {
    self(reply).message_.assign(view(message));
  };
}

Result<Reply> ReplyCollector::take(flynn_status status) {
  if (status != FLYNN_OK) return Error{code_from_status(status), std::move(message_)};
  Reply reply;
  if (!body_.empty()) {
    auto document = parse_json_object(body_);
    if (!document) return Error{Code::internal, "the provider's answer: " + document.error().message};
    reply.body = std::move(*document);
  }
  reply.fds = std::move(fds_);
  return reply;
}

}  // namespace flynn::abi1
