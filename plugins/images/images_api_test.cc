// The HTTP API on a real socket, over a blobstore in memory and a controller that knows three keys.
#include "images_api.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "hex_digest.h"
#include "image_manifest.h"
#include "tar_maker_test.h"

namespace flynn::images {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRoot = "Basic OnJvb3Q=";   // :root
constexpr const char* kOfApp = "Basic Om9mYXBw";  // :ofapp

std::string sha256(const std::string& bytes) {
  HexDigest digest(EVP_sha256());
  digest.add(bytes);
  return digest.end();
}

class Platform : public Door, public Log {
 public:
  using Door::call;
  std::map<std::string, std::string> blobs;
  json::object artifact;  // the last that was registered
  bool full = false;

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline,
                     const std::vector<int>& fds) override {
    const std::lock_guard lock(mutex_);
    if (interface == "flynn.controller/1" && method == "Authorize") return authorize(body);
    if (interface == "flynn.controller/1") {
      artifact = body.at("body").as_object();
      return Reply{{{"status", 200}, {"body", {{"id", "a-1"}, {"type", "flynn"}}}}};
    }
    const auto name = string_or(body, "name");
    if (method == "Put") return put(name, fds.at(0));
    if (!blobs.contains(name)) return Error{Code::not_found, "no blob " + name};
    if (method == "Stat") return Reply{{{"size", blobs[name].size()}}};
    UniqueFd file(::memfd_create("blob", 0));
    EXPECT_EQ(::write(file.get(), blobs[name].data(), blobs[name].size()), static_cast<ssize_t>(blobs[name].size()));
    Reply reply;
    reply.fds.push_back(std::move(file));
    return reply;
  }
  void write(LogLevel, std::string_view, const json::object&) override {}
  std::size_t blob_count() {
    const std::lock_guard lock(mutex_);
    return blobs.size();
  }

 private:
  static Result<Reply> authorize(const json::object& body) {
    EXPECT_EQ(string_or(body, "method") + " " + string_or(body, "path"), "POST /artifacts");
    const auto key = string_or(body, "authorization");
    if (key == kOfApp) return Reply{{{"allowed", false}, {"known", true}, {"reason", "is for one app"}}};
    return Reply{{{"allowed", key == kRoot}, {"known", key == kRoot}}};
  }
  Result<Reply> put(const std::string& name, int source) {
    if (full) return Error{Code::resource_exhausted, "the disk is full"};
    std::string bytes;
    char chunk[65536];
    for (ssize_t count = 0; (count = ::read(source, chunk, sizeof chunk)) > 0;)
      bytes.append(chunk, static_cast<std::size_t>(count));
    blobs[name] = std::move(bytes);
    return Reply{};
  }
  std::mutex mutex_;
};

class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  /// False when the server has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  /// Up to `until`, or to the end.
  std::string receive(std::string_view until = {}) {
    std::string text;
    char c = 0;
    while ((until.empty() || !text.ends_with(until)) && ::recv(fd_.get(), &c, 1, 0) == 1) text += c;
    return text;
  }

 private:
  UniqueFd fd_;
};

class ImagesApiTest : public testing::Test {
 protected:
  ImagesApiTest() {
    std::string pattern = (fs::temp_directory_path() / "flynn-images-XXXXXX").string();
    config_.data_dir = ::mkdtemp(pattern.data());
    config_.layer_bytes_max = std::int64_t{64} << 20;
  }
  ~ImagesApiTest() override {
    api_.reset();
    fs::remove_all(config_.data_dir);
  }
  void start() {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(socket.get(), 16), 0);
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    api_ = std::make_unique<ImagesApi>(platform_, platform_, config_);
    ASSERT_TRUE(api_->prepare(std::move(socket)));
    api_->activate();
  }
  static std::string head(const std::string& line, const std::string& more, const char* key = kRoot) {
    return line + " HTTP/1.1\r\nHost: images\r\nConnection: close\r\nAuthorization: " + key + "\r\n" + more + "\r\n";
  }
  std::string ask(const std::string& line, const std::string& body = {}, const char* key = kRoot) const {
    Client client(port_);
    const bool post = line.starts_with("POST");
    client.send(head(line, post ? "Content-Length: " + std::to_string(body.size()) + "\r\n" : "", key));
    client.send(body);
    return client.receive();
  }
  static int status(const std::string& answer) { return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0; }
  static std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
  static json::object object(const std::string& answer) {
    auto parsed = parse_json_object(body(answer));
    EXPECT_TRUE(parsed) << answer;
    return parsed ? *parsed : json::object{};
  }

  Platform platform_;
  ImagesConfig config_;
  std::unique_ptr<ImagesApi> api_;
  int port_ = 0;
};

TEST_F(ImagesApiTest, TakesALayerAndKnowsItFromThenOn) {
  start();
  const std::string tar = TarMaker().file("etc/motd", std::string(3'000'000, 'm')).bytes(), id = sha256(tar);
  EXPECT_EQ(body(ask("GET /layer/" + id)), "");
  EXPECT_EQ(status(ask("GET /layer/" + id)), 404);

  const auto added = ask("POST /layer/" + id, tar);
  const auto found = ask("GET /layer/" + id);

  ASSERT_EQ(status(added), 200) << added;
  EXPECT_EQ(body(found), body(added));
  const auto layer = object(added);
  const std::string& blob = platform_.blobs["layers/" + string_or(layer, "id") + ".squashfs"];
  HexDigest digest(EVP_sha512_256());
  digest.add(blob);
  EXPECT_EQ(digest.end(), string_or(layer, "id"));
  EXPECT_EQ(int_or(layer, "length"), static_cast<std::int64_t>(blob.size()));
  EXPECT_EQ(blob.substr(0, 4), "hsqs");
  EXPECT_TRUE(fs::is_empty(config_.data_dir));
  platform_.blobs.erase("layers/" + string_or(layer, "id") + ".squashfs");
  EXPECT_EQ(status(ask("GET /layer/" + id)), 404) << "the last release that used it has gone";
}

TEST_F(ImagesApiTest, TakesAChunkedBodyAfterItsHundred) {
  start();
  const std::string tar = TarMaker().file("a", "b").bytes();
  Client client(port_);

  client.send(head("POST /layer/" + sha256(tar), "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"));
  const auto hundred = client.receive("\r\n\r\n");
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", tar.size() - 100);
  client.send(size + tar.substr(0, tar.size() - 100) + "\r\n64\r\n" + tar.substr(tar.size() - 100) + "\r\n0\r\n\r\n");

  EXPECT_TRUE(hundred.starts_with("HTTP/1.1 100 ")) << hundred;
  EXPECT_EQ(status(client.receive()), 200);
}

TEST_F(ImagesApiTest, RefusesBeforeTheBodyIsSent) {
  start();
  const std::string id(64, 'a');
  const auto refused = [&](const std::string& line, const std::string& more, const char* key) {
    Client client(port_);
    client.send(head(line, more + "Expect: 100-continue\r\n", key));
    return client.receive();
  };

  const auto stranger = refused("POST /layer/" + id, "Content-Length: 1000\r\n", "Basic OngK");
  const auto of_app = refused("POST /layer/" + id, "Content-Length: 1000\r\n", kOfApp);
  const auto large = refused("POST /layer/" + id, "Content-Length: 999999999\r\n", kRoot);
  const auto odd = refused("POST /layer/" + id + "0", "Content-Length: 1000\r\n", kRoot);

  EXPECT_EQ(status(stranger), 401);
  EXPECT_EQ(body(stranger), "");
  EXPECT_EQ(status(of_app), 403);
  EXPECT_EQ(string_or(object(of_app), "message"), "is for one app");
  EXPECT_EQ(string_or(object(large), "code"), "request_body_too_big");
  EXPECT_EQ(string_or(object(odd), "code"), "validation_error");
  EXPECT_EQ(status(ask("GET /layer/" + id, "", kOfApp)), 403);
  EXPECT_EQ(status(ask("POST /artifact", "{}", "Basic OngK")), 401);
}

TEST_F(ImagesApiTest, AnswersAClientThatSendsWithoutAsking) {
  config_.layer_bytes_max = 1 << 20;
  start();
  Client client(port_);

  client.send(head("POST /layer/" + std::string(64, 'a'), "Transfer-Encoding: chunked\r\n"));
  for (int i = 0; i < 32 && client.send("10000\r\n" + std::string(0x10000, 'x') + "\r\n"); ++i) {
  }

  const auto answer = client.receive();
  EXPECT_EQ(status(answer), 400) << answer;
  EXPECT_NE(string_or(object(answer), "message").find("layer_bytes_max"), std::string::npos);
  EXPECT_EQ(api_->uploads(), 0);
}

TEST_F(ImagesApiTest, StoresNothingOfABodyWithAnotherDigest) {
  start();

  const auto answer = ask("POST /layer/" + std::string(64, 'a'), TarMaker().file("a").bytes());

  EXPECT_EQ(status(answer), 400);
  EXPECT_EQ(string_or(object(answer), "code"), "validation_error");
  EXPECT_EQ(platform_.blob_count(), 0U);
  EXPECT_TRUE(fs::is_empty(config_.data_dir));
}

TEST_F(ImagesApiTest, LeavesNothingOfAnUploadThatIsCutOff) {
  start();
  const std::string tar = TarMaker().file("a", std::string(100'000, 'a')).bytes(), id = sha256(tar);
  for (const bool chunked : {false, true}) {
    Client client(port_);
    const std::string length = std::to_string(tar.size());
    client.send(
        head("POST /layer/" + id, chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: " + length + "\r\n"));
    client.send((chunked ? "ffff\r\n" : "") + tar.substr(0, 50'000));
    client.end();

    const auto answer = client.receive();

    EXPECT_TRUE(answer.empty() || status(answer) == 400) << answer;
    EXPECT_EQ(api_->uploads(), 0);
    EXPECT_EQ(platform_.blob_count(), 0U);
  }
}

TEST_F(ImagesApiTest, ReceivesNoMoreAtOnceThanAllowed) {
  config_.uploads_max = 1;
  start();
  const std::string tar = TarMaker().file("a").bytes(), id = sha256(tar);
  const std::string length = "Content-Length: " + std::to_string(tar.size()) + "\r\n";
  Client first(port_);
  first.send(head("POST /layer/" + id, length + "Expect: 100-continue\r\n"));
  ASSERT_TRUE(first.receive("\r\n\r\n").starts_with("HTTP/1.1 100 "));

  const auto second = ask("POST /layer/" + id, tar);
  first.send(tar);

  EXPECT_EQ(status(second), 503);
  EXPECT_TRUE(bool_or(object(second), "retry"));
  EXPECT_EQ(status(first.receive()), 200);
}

TEST_F(ImagesApiTest, EndsAtOnceWhileSomebodySends) {
  start();
  Client client(port_);
  client.send(head("POST /layer/" + std::string(64, 'a'), "Content-Length: 1000\r\nExpect: 100-continue\r\n"));
  ASSERT_TRUE(client.receive("\r\n\r\n").starts_with("HTTP/1.1 100 "));

  api_->stop();

  EXPECT_EQ(client.receive(), "");
  EXPECT_EQ(api_->uploads(), 0);
}

TEST_F(ImagesApiTest, SaysWhenTheDiskIsFull) {
  platform_.full = true;
  start();
  const std::string tar = TarMaker().file("a").bytes();

  EXPECT_EQ(status(ask("POST /layer/" + sha256(tar), tar)), 507);
}

TEST_F(ImagesApiTest, RegistersAnArtifactOfLayersThatAreHere) {
  start();
  const std::string tar = TarMaker().file("a").bytes();
  const auto layer = object(ask("POST /layer/" + sha256(tar), tar));
  const auto manifest = [&](const std::string& id) {
    return R"({"_type":"application/vnd.flynn.image.manifest.v1+json","entrypoints":{"_default":{"args":["/a"],"env":{}}},)"
           R"("rootfs":[{"layers":[{"id":")" +
           id + R"("}]}]})";
  };

  const auto made = ask("POST /artifact", manifest(string_or(layer, "id")));
  const auto unknown = ask("POST /artifact", manifest(std::string(64, 'b')));
  const auto path = ask("POST /artifact", manifest("../../etc/passwd"));

  EXPECT_EQ(string_or(object(made), "id"), "a-1") << made;
  EXPECT_EQ(string_or(platform_.artifact, "type"), "flynn");
  EXPECT_EQ(string_or(*find_object(platform_.artifact, "meta"), "blobstore"), "true");
  EXPECT_NE(string_or(object(unknown), "message").find("does not have"), std::string::npos);
  EXPECT_EQ(status(path), 400);
  EXPECT_EQ(status(ask("POST /artifact", "{}")), 400);
  EXPECT_EQ(string_or(object(ask("POST /artifact", "{")), "code"), "syntax_error");
  EXPECT_EQ(status(ask("DELETE /layer/" + sha256(tar))), 404);
}

TEST(ImageManifest, IsTheSameArtifactWhateverTheOrderOfItsMembers) {
  const auto uri = [](const char* text) { return string_or(artifact_of(*parse_json_object(text)), "uri"); };

  EXPECT_EQ(uri(R"({"a":{"x":1,"y":[{"p":1,"q":2}]},"b":2})"), uri(R"({"b":2,"a":{"y":[{"q":2,"p":1}],"x":1}})"));
  EXPECT_NE(uri(R"({"a":[1,2]})"), uri(R"({"a":[2,1]})"));
}

}  // namespace
}  // namespace flynn::images
