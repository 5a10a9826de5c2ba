/// /ping, /.well-known/status, /ca-cert.
#include <fstream>
#include <sstream>

#include "cluster_certificate.h"
#include "context.h"

namespace flynn::controller {
namespace {

// Clients choose their protocol by this; it is the original's last one, whose wire this is.
constexpr const char* kWireVersion = "v20210218.0";

Outcome<HttpResponse> ping(Context&, const HttpRequest&, const Params&) { return empty_answer(); }

Outcome<HttpResponse> status(Context& context, const HttpRequest&, const Params&) {
  auto probe = context.store.get("cluster/config");
  HttpResponse response = json_answer(json::object{{"data",
                                                    {{"status", probe ? "healthy" : "unhealthy"},
                                                     {"version", kWireVersion},
                                                     {"detail", probe ? "" : probe.error().message}}}});
  if (!probe) response.status = 500;
  return response;
}

Outcome<HttpResponse> ca_cert(Context& context, const HttpRequest&, const Params&) {
  if (context.settings.ca_cert_file.empty()) {
    auto own = authority_certificate(context);
    if (!own) return own.error();
    if (own->empty()) return not_found("ca-cert");
    return HttpResponse{200, "application/x-x509-ca-cert", std::move(*own), {}, nullptr};
  }
  std::ifstream file(context.settings.ca_cert_file);
  if (!file) return not_found("ca-cert");
  std::ostringstream pem;
  pem << file.rdbuf();
  return HttpResponse{200, "application/x-x509-ca-cert", pem.str(), {}, nullptr};
}

}  // namespace

void add_status_routes(RouterTable& table) {
  table.add("GET", "/ping", ping);
  table.add("GET", "/.well-known/status", status);
  table.add("GET", "/ca-cert", ca_cert);
}

}  // namespace flynn::controller
