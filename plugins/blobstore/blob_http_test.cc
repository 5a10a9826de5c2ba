#include "blob_http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>

#include "lent_socket.h"

namespace flynn::blobstore {
namespace {

namespace fs = std::filesystem;

class BlobHttpTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flynn-blob-http-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    files_ = std::move(BlobFiles::open(folder_)).value();
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    ASSERT_EQ(::listen(listener_.get(), 16), 0);
    start({});
  }
  void TearDown() override {
    http_.reset();
    fs::remove_all(folder_);
  }

  void start(BlobHttpOptions options) {
    http_ = std::make_unique<BlobHttp>(*files_, options);
    http_->start(UniqueFd(::dup(listener_.get())));
  }

  UniqueFd connect() {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    return fd;
  }

  static void send(int fd, const std::string& text) {
    EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  // Everything until the server closes; "timeout" when it does not within 10 s.
  static std::string receive_all(int fd) {
    std::string all;
    std::array<char, 65536> chunk;
    while (true) {
      pollfd entry{fd, POLLIN, 0};
      if (::poll(&entry, 1, 10'000) <= 0) return "timeout after: " + all;
      const auto got = ::recv(fd, chunk.data(), chunk.size(), 0);
      if (got <= 0) return all;
      all.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }

  std::string request(const std::string& head, const std::string& body = {}) {
    const auto fd = connect();
    send(fd.get(), head + "\r\nHost: x\r\nConnection: close\r\n" +
                       (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body);
    return receive_all(fd.get());
  }

  static bool has_status(const std::string& reply, int status) {
    return reply.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
  }

  fs::path folder_;
  std::unique_ptr<BlobFiles> files_;
  UniqueFd listener_;
  std::unique_ptr<BlobHttp> http_;
};

TEST_F(BlobHttpTest, PutsGetsAndDeletes) {
  const std::string body(1'000'000, 'z');

  EXPECT_TRUE(has_status(request("PUT /layers/a HTTP/1.1", body), 200));
  const auto got = request("GET /layers/a HTTP/1.1");
  EXPECT_TRUE(has_status(got, 200));
  EXPECT_TRUE(got.ends_with("\r\n\r\n" + body));
  const auto head = request("HEAD /layers/a HTTP/1.1");
  EXPECT_NE(head.find("Content-Length: 1000000"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_NE(head.find("ETag: \"" + files_->get("layers/a")->info.sha512_256 + "\""), std::string::npos) << head;
  EXPECT_TRUE(has_status(request("DELETE /layers/a HTTP/1.1"), 200));
  EXPECT_TRUE(has_status(request("GET /layers/a HTTP/1.1"), 404));
}

TEST_F(BlobHttpTest, RefusesHostileNamesAndMethods) {
  for (const char* path : {"/", "/../x", "/a/../../etc/passwd", "/a%2f..%2fb", "//a", "/a?x=y", "http://h/a", "/a@/b"})
    EXPECT_TRUE(has_status(request("GET " + std::string(path) + " HTTP/1.1"), 400)) << path;
  EXPECT_TRUE(has_status(request("POST /a HTTP/1.1", "x"), 405));
}

TEST_F(BlobHttpTest, AnUploadThatBreaksOffIsNotStored) {
  const auto fd = connect();
  send(fd.get(), "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly half");
  ::shutdown(fd.get(), SHUT_WR);

  EXPECT_TRUE(has_status(receive_all(fd.get()), 400));
  EXPECT_EQ(files_->get("a").error().code, Code::not_found);
  EXPECT_TRUE(fs::is_empty(folder_ / "temporary"));
}

TEST_F(BlobHttpTest, APutNeedsALength) {
  const auto fd = connect();
  send(fd.get(), "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");

  EXPECT_TRUE(has_status(receive_all(fd.get()), 411));
  EXPECT_EQ(files_->get("a").error().code, Code::not_found);
}

TEST_F(BlobHttpTest, ReadOnlyRefusesWrites) {
  http_->stop();
  start({.threads_max = 2, .read_only = true});

  EXPECT_TRUE(has_status(request("PUT /a HTTP/1.1", "x"), 403));
  EXPECT_TRUE(has_status(request("DELETE /a HTTP/1.1"), 403));
  EXPECT_TRUE(has_status(request("GET /a HTTP/1.1"), 404));
}

TEST_F(BlobHttpTest, ASecondServerTakesOverTheSocketWhileTheFirstFinishesItsRequest) {
  const auto slow = connect();
  send(slow.get(), "PUT /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc");
  // The first server has the connection once its temporary file exists.
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  while (fs::is_empty(folder_ / "temporary") && !deadline.passed()) std::this_thread::yield();
  BlobHttp next(*files_, {});
  next.start(UniqueFd(::dup(listener_.get())));
  http_->stop_accepting();

  EXPECT_TRUE(has_status(request("PUT /b HTTP/1.1", "x"), 200)) << "by the second server";
  send(slow.get(), "def");
  http_->drain(Deadline::after(std::chrono::seconds(10)));
  EXPECT_TRUE(has_status(receive_all(slow.get()), 200));
  EXPECT_EQ(files_->get("slow")->info.size, 6u);
}

TEST_F(BlobHttpTest, StopBreaksOffWhatIsLeft) {
  const auto idle = connect();
  send(idle.get(), "PUT /never HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  while (fs::is_empty(folder_ / "temporary") && !deadline.passed()) std::this_thread::yield();

  http_->stop();

  EXPECT_EQ(receive_all(idle.get()).find("timeout"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_ / "temporary"));
}

TEST_F(BlobHttpTest, KnowsALoopbackListener) {
  EXPECT_TRUE(is_loopback(listener_.get()));
  const UniqueFd open_to_all(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::listen(open_to_all.get(), 1), 0);  // binds to any address
  EXPECT_FALSE(is_loopback(open_to_all.get()));
}

}  // namespace
}  // namespace flynn::blobstore
