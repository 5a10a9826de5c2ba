/// A small controller that keeps the ten rules of Flynn's wire on a real socket, with or without TLS.
#pragma once

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>

#include <boost/json/object.hpp>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace flynn::cli::testing {

enum class Tls { kNo, kYes };

class TestController {
 public:
  explicit TestController(Tls tls = Tls::kNo);
  ~TestController();
  TestController(const TestController&) = delete;
  TestController& operator=(const TestController&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] const std::string& pin() const { return pin_; }
  static constexpr const char* kKey = "s3cret-key";

  void add_app(const std::string& name);
  /// As the controller shows a plugin of the node: its release names a slot instead of artifacts.
  void make_plugin(const std::string& app);
  void add_route(const std::string& app, const std::string& document);
  /// What GET /backup answers; empty: 409, because another one runs. Its record says `error`.
  void set_backup(const std::string& archive, const std::string& error = {}) {
    const std::lock_guard lock(mutex_);
    backup_ = archive;
    backup_error_ = error;
  }
  boost::json::object release_of(const std::string& app);
  /// How the next migration of the domain ends: with these words, or well when they are empty.
  void fail_migration(const std::string& why);
  static constexpr const char* kNewPin = "bmV3LXBpbi1vZi10aGUtY2x1c3Rlci1jZXJ0aWZpY2E=";
  static constexpr const char* kNewCa = "-----BEGIN CERTIFICATE-----\nnew\n-----END CERTIFICATE-----\n";
  /// "POST /apps/x/deploy" of every request, in order.
  std::vector<std::string> requests();
  std::vector<int> signals();

 private:
  struct Request {
    std::string method, path, query, body, rest;
    std::map<std::string, std::string> headers;  // names in lower case
  };
  struct Reply {
    int status = 200;
    std::string body;
    std::string type = "application/json";
  };
  struct App {
    std::string release;
    boost::json::object processes;
    boost::json::array routes;
    bool maintenance = false;
  };

  void accept_loop();
  void serve(Poco::Net::StreamSocket socket);
  Reply answer(const Request& request);
  Reply answer_app(const Request& request, const std::string& name, const std::string& below);
  Reply answer_domain(const boost::json::object& body);
  Reply answer_sinks(const Request& request, const boost::json::object& body);
  boost::json::array newest_first() const;
  Reply deploy(const std::string& name, const std::string& release);
  Reply scale(const std::string& name, const boost::json::object& body);
  void keep_event_stream(Poco::Net::StreamSocket& socket);
  void attach(const Request& request, Poco::Net::StreamSocket& socket);
  void forget_closed_streams();
  void emit(const std::string& type, const std::string& id, boost::json::object data);

  std::string pin_;
  Tls tls_;
  Poco::Net::ServerSocket server_;
  std::mutex mutex_;
  bool stopping_ = false;
  int next_id_ = 1;
  std::map<std::string, App> apps_;
  std::map<std::string, boost::json::object> releases_;
  std::string backup_, backup_error_;
  boost::json::array sinks_;
  std::string domain_ = "test.localhost", migration_failure_;
  std::vector<std::string> requests_;
  std::vector<int> signals_;
  std::list<Poco::Net::StreamSocket> open_;
  std::vector<Poco::Net::StreamSocket> event_streams_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

}  // namespace flynn::cli::testing
