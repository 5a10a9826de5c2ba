#include "reply_sink.h"

namespace flynn::core {
namespace {

std::string text_of(flynn_bytes bytes) { return bytes.size == 0 ? std::string() : std::string(bytes.data, bytes.size); }

}  // namespace

ReplySink::ReplySink() {
  table_.struct_size = sizeof table_;
  table_.ctx = this;
  table_.set_body = [](flynn_reply* reply, flynn_bytes body) { self(reply).body_ = text_of(body); };
  table_.add_fd = [](flynn_reply* reply, int fd) { self(reply).fds_.emplace_back(fd); };
  table_.set_error = [](flynn_reply* reply, flynn_status, flynn_bytes message, flynn_bytes) {
    self(reply).message_ = text_of(message);
  };
}

Result<Reply> ReplySink::take(flynn_status status) {
  if (status != FLYNN_OK) return Error{code_from_status(status), message_};
  Reply reply;
  if (!body_.empty()) {
    auto document = parse_json_object(body_);
    if (!document) return document.error().context("the plugin's answer");
    reply.body = std::move(*document);
  }
  reply.fds = std::move(fds_);
  return reply;
}

}  // namespace flynn::core
