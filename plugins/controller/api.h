/// The one function behind every request, whether it came by HTTP or through the door.
///
/// Thread: [any].
#pragma once

#include <optional>

#include "context.h"

namespace flynn::controller {

class Api {
 public:
  explicit Api(Context& context);

  /// Of a connection: checks the key and what it may do, and notes its use in the access log.
  HttpResponse handle(const HttpRequest& request);
  /// Before the body of a request is read: an answer to whoever has no good key, so that nobody unknown costs more
  /// than a head.
  std::optional<HttpResponse> refuse_stranger(const HttpRequest& request);
  /// Of a caller that is an administrator already.
  HttpResponse dispatch(const HttpRequest& request);
  /// Nothing when `who` may send such a request; else what HTTP would answer.
  Verdict check(const Identity& who, const HttpRequest& request);

 private:
  HttpResponse handle_with_key(const HttpRequest& request);
  HttpResponse answer_for(const Identity& who, const Route* route, const HttpRequest& request, const Params& params);
  HttpResponse answer(const Route& route, const HttpRequest& request, const Params& params);
  void note_use(const Identity& who, const HttpRequest& request, int status);

  Context& context_;
  const RouterTable table_;
};

}  // namespace flynn::controller
