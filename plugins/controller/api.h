/// The one function behind every request, whether it came by HTTP or through the door.
///
/// Thread: [any].
#pragma once

#include "context.h"

namespace flynn::controller {

class Api {
 public:
  explicit Api(Context& context);

  /// Of a connection: checks the credentials first.
  HttpResponse handle(const HttpRequest& request);
  /// Of a caller that is an administrator already.
  HttpResponse dispatch(const HttpRequest& request);

 private:
  Context& context_;
  RouterTable table_;
};

}  // namespace flynn::controller
