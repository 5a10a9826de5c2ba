#include "http/error_page.h"

namespace flynn::router {
namespace {

struct Advice {
  int status;
  std::string_view text;
  std::string_view code;
  std::string_view advice;
};

constexpr Advice kAdvice[] = {
    {400, "Bad Request", "bad_request",
     "The request can be understood in more than one way, or not at all. Correct the client that sent it."},
    {404, "Not Found", "no_route",
     "No app is routed at this address. See \"flynn route\" for an app's routes; add one with \"flynn route add "
     "http\"."},
    {405, "Method Not Allowed", "method_not_allowed", "This router serves requests for apps; it is no forward proxy."},
    {408, "Request Timeout", "request_timeout", "The request took too long to arrive. Send it again."},
    {417, "Expectation Failed", "expectation_failed", "Leave out the Expect header."},
    {431, "Request Header Fields Too Large", "head_too_large",
     "Send fewer or smaller headers or cookies: 64 KiB and 100 headers at most."},
    {500, "Internal Server Error", "internal", "The router failed. See \"flynn-host log\"."},
    {501, "Not Implemented", "unknown_coding",
     "Send the body with Content-Length, or with Transfer-Encoding: chunked."},
    {502, "Bad Gateway", "backend_failed", "The app's process broke off or answered nonsense. See \"flynn log\"."},
    {503, "Service Unavailable", "no_backend",
     "No process of the app is up. See \"flynn ps\" and \"flynn log\"; start one with \"flynn scale web=1\"."},
    {504, "Gateway Timeout", "backend_timeout", "The app's process did not answer in time. See \"flynn log\"."},
    {505, "HTTP Version Not Supported", "http_version", "Use HTTP/1.1."},
};

constexpr Advice kMaintenance{503, "Service Unavailable", "maintenance", "It will be back. Please try again later."};

const Advice& advice_for(int status) {
  for (const auto& advice : kAdvice)
    if (advice.status == status) return advice;
  return kAdvice[6];
}

void append_html(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
}

// The texts here are our own, a validated Host or a validated id: printable ASCII, so two escapes are enough.
void append_json(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
}

std::string html_body(const ErrorPage& page, const Advice& advice) {
  const auto title = std::to_string(page.status) + " " + std::string(advice.text);
  std::string body = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + title +
                     "</title><body style=\"font:16px/1.5 sans-serif;max-width:36em;margin:4em auto\"><h1>" + title +
                     "</h1><p>";
  if (!page.reason.empty()) {
    append_html(body, page.reason);
    if (!page.host.empty()) body += " (", append_html(body, page.host), body += ")";
    body += ".</p><p>";
  }
  append_html(body, advice.advice);
  body += "</p>";
  if (!page.request_id.empty())
    body += "<p><small>Request ", append_html(body, page.request_id), body += "</small></p>";
  return body + "\n";
}

std::string json_body(const ErrorPage& page, const Advice& advice) {
  std::string body = "{\"code\":\"" + std::string(advice.code) + "\",\"message\":\"";
  append_json(body, page.reason.empty() ? advice.text : page.reason);
  body += "\",\"advice\":\"";
  append_json(body, advice.advice);
  body += "\"";
  if (!page.request_id.empty()) body += ",\"request_id\":\"", append_json(body, page.request_id), body += "\"";
  return body + "}\n";
}

}  // namespace

std::string_view status_text(int status) { return advice_for(status).text; }

bool accepts_json(std::string_view accept) {
  const auto json = accept.find("application/json");
  const auto html = accept.find("text/html");
  return json != std::string_view::npos && (html == std::string_view::npos || json < html);
}

std::string make_error_response(const ErrorPage& page) {
  const auto& advice = page.maintenance ? kMaintenance : advice_for(page.status);
  const auto body = page.json ? json_body(page, advice) : html_body(page, advice);
  std::string out = "HTTP/1.1 " + std::to_string(page.status) + " " + std::string(advice.text) + "\r\nContent-Type: ";
  out += page.json ? "application/json" : "text/html; charset=utf-8";
  out += "\r\nCache-Control: no-store\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  if (page.status == 503) out += page.maintenance ? "Retry-After: 60\r\n" : "Retry-After: 1\r\n";
  if (!page.keep_alive)
    out += "Connection: close\r\n";
  else if (page.client_minor == 0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (!page.head_only) out += body;
  return out;
}

}  // namespace flynn::router
