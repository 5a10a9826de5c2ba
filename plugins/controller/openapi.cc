/// GET /openapi.json: the description of this API, docs/api/controller.openapi.json as it was at the build.
#include "context.h"
#include "openapi_document.h"

namespace flynn::controller {
namespace {

Outcome<HttpResponse> openapi(Context&, const HttpRequest&, const Params&) {
  // Not application/json: of those the keys that only read get values hidden, and this has schemas called "env".
  return HttpResponse{200, "application/openapi+json", std::string(kOpenApi), {}, nullptr};
}

}  // namespace

void add_openapi_routes(RouterTable& table) { table.add("GET", "/openapi.json", openapi); }

}  // namespace flynn::controller
