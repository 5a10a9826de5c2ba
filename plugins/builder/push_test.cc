// Pushes with the real git and ssh clients to a real PushServer; the platform behind the door is a fake.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fake_platform.h"
#include "process/child.h"
#include "push_server.h"

namespace flynn::builder {
namespace {

namespace fs = std::filesystem;

struct Ran {
  int status = -1;
  std::string output;
};

Ran run(const std::vector<std::string>& arguments) {
  auto words = process::make_pipe();
  auto child = process::Child::start(arguments, {{words->second.get(), 1}, {words->second.get(), 2}});
  words->second.reset();
  if (!child) return {-1, child.error().message};
  std::string output = process::read_to_end(words->first.get(), 1 << 20);
  return {child->wait(Deadline::after(60s)).value_or(-1), output};
}

class PushTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: git runs as another user in a mount namespace";
    char name[] = "/tmp/flynn-push-XXXXXX";
    top_ = ::mkdtemp(name);
    ::chmod(top_.c_str(), 0755);
    config_.data_dir = top_ + "/data";
    config_.session_program = FLYNN_SESSION_PROGRAM;
    config_.push_bytes_max = 1 << 26;
    config_.deploy_timeout = 20s;
    for (const char* folder : {"data", "data/repos", "data/builds", "data/cache"})
      fs::create_directory(top_ + "/" + folder);
    // As the core makes it: nobody else may walk in.
    ::chmod(config_.data_dir.c_str(), 0700);
    ASSERT_EQ(run({config_.session_program, "keygen", config_.data_dir + "/host_key"}).status, 0);
    ASSERT_EQ(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "someone", "-f", top_ + "/id"}).status, 0);
    platform_.keys["app-names/hello"] = {{"app_id", platform_.app_id}};
    json::array layers{{{"id", std::string(64, 'a')}, {"length", 1}}};
    platform_.keys["cluster/config"] = {{"stacks", {{"buildstack", layers}, {"run", layers}}}};
    register_key();
    listen();
    given_repository();
  }
  void TearDown() override {
    if (server_) server_->stop();
    if (!top_.empty()) fs::remove_all(top_);
  }

  void register_key() {
    std::ifstream file(top_ + "/id.pub");
    std::string line;
    std::getline(file, line);
    std::string text = run({"ssh-keygen", "-l", "-E", "md5", "-f", top_ + "/id.pub"}).output;
    std::string fingerprint = text.substr(text.find("MD5:") + 4, 47);
    std::erase(fingerprint, ':');
    key_ = "keys/" + fingerprint;
    platform_.keys[key_] = {{"key", line}};
  }

  static UniqueFd listen_on(std::string& port) {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener.get(), 16), 0);
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = std::to_string(ntohs(address.sin_port));
    return listener;
  }

  void listen() {
    pipeline_ = std::make_unique<Pipeline>(platform_, config_);
    server_ = std::make_unique<PushServer>(Transport::ssh, platform_, platform_, *pipeline_, config_);
    http_ = std::make_unique<PushServer>(Transport::http, platform_, platform_, *pipeline_, config_);
    server_->prepare(listen_on(port_));
    http_->prepare(listen_on(http_port_));
    server_->activate();
    http_->activate();
  }

  std::string http_url(const std::string& app, const std::string& password = "secret") const {
    return "http://user:" + password + "@127.0.0.1:" + http_port_ + "/" + app + ".git";
  }

  std::string work() const { return top_ + "/work"; }
  Ran git(std::vector<std::string> arguments) {
    std::vector<std::string> all{"git",
                                 "-C",
                                 work(),
                                 "-c",
                                 "user.name=t",
                                 "-c",
                                 "user.email=t@example.org",
                                 "-c",
                                 "core.sshCommand=ssh -F none -i " + top_ +
                                     "/id -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no "
                                     "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p " +
                                     port_};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run(all);
  }
  void given_repository() {
    fs::create_directory(work());
    git({"init", "-q", "-b", "main"});
    std::ofstream(work() + "/file") << "text\n";
    std::ofstream(work() + "/run") << "#!/bin/sh\n";
    ::chmod((work() + "/run").c_str(), 0755);
    fs::create_symlink("file", work() + "/link");
    commit();
  }
  void commit() {
    git({"add", "-A"});
    ASSERT_EQ(git({"commit", "-q", "-m", "c"}).status, 0);
  }
  Ran push(const std::string& refs = "HEAD:refs/heads/master", const std::string& app = "hello") {
    return git({"push", "ssh://git@127.0.0.1/" + app + ".git", refs});
  }
  std::size_t builds_left() {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(top_ + "/data/builds"), fs::directory_iterator()));
  }

  std::string top_, port_, http_port_, key_;
  BuildConfig config_;
  FakePlatform platform_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<PushServer> server_, http_;
};

TEST_F(PushTest, DeploysAPushToMaster) {
  Ran pushed = push();

  EXPECT_EQ(pushed.status, 0) << pushed.output;
  for (const char* text : {"Fake app detected", "=====> Initial web job started", "=====> Application deployed",
                           "release1", "http://hello.example.org", "Timing: receive"}) {
    EXPECT_NE(pushed.output.find(text), std::string::npos) << text << "\n" << pushed.output;
  }
  EXPECT_EQ(platform_.blobs.size(), 1u);
  json::object body = *find_object(platform_.last("/releases"), "body");
  EXPECT_EQ(json::serialize(body.at("processes").at("web").at("args")), R"(["/runner/init","start","web"])");
  EXPECT_EQ(body.at("processes").at("web").at("ports").at(0).at("service").at("name"), "hello-web");
  EXPECT_EQ(builds_left(), 0u);
  EXPECT_TRUE(fs::is_directory(config_.cache(platform_.app_id)));
}

TEST_F(PushTest, TheSameTreeTwiceIsTheSameSlug) {
  ASSERT_EQ(push().status, 0);
  git({"commit", "-q", "--allow-empty", "-m", "again"});

  ASSERT_EQ(push().status, 0);

  EXPECT_EQ(platform_.blobs.size(), 1u);
}

TEST_F(PushTest, TakesAPushAboveTheSshWindow) {
  std::ofstream big(work() + "/big", std::ios::binary);
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::string bytes(12u << 20, '\0');
  random.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  big << bytes;
  big.close();
  commit();

  Ran pushed = push();

  EXPECT_EQ(pushed.status, 0) << pushed.output;
}

TEST_F(PushTest, RefusesAKeyThatIsNotRegistered) {
  platform_.keys.erase(key_);

  Ran pushed = push();

  EXPECT_NE(pushed.status, 0);
  EXPECT_NE(pushed.output.find("Permission denied (publickey)"), std::string::npos) << pushed.output;
}

TEST_F(PushTest, SaysHowToCreateAnUnknownApp) {
  Ran pushed = push("HEAD:refs/heads/master", "other");

  EXPECT_NE(pushed.status, 0);
  EXPECT_NE(pushed.output.find("flynn create other"), std::string::npos) << pushed.output;
}

TEST_F(PushTest, RefusesAnotherBranchAndADeletion) {
  Ran other = push("HEAD:refs/heads/feature");
  EXPECT_NE(other.status, 0);
  EXPECT_NE(other.output.find("The push must include a change to the master branch"), std::string::npos)
      << other.output;
  ASSERT_EQ(push().status, 0);

  Ran deletion = push(":refs/heads/master");

  EXPECT_NE(deletion.status, 0);
  EXPECT_NE(deletion.output.find("is refused"), std::string::npos) << deletion.output;
}

TEST_F(PushTest, AFailedBuildDeclinesThePushAndLeavesNothing) {
  platform_.build_status = 3;

  Ran pushed = push();

  EXPECT_NE(pushed.status, 0);
  EXPECT_NE(pushed.output.find("ERROR: Build failed: exit status 3"), std::string::npos) << pushed.output;
  EXPECT_NE(pushed.output.find("pre-receive hook declined"), std::string::npos) << pushed.output;
  EXPECT_EQ(builds_left(), 0u);
  EXPECT_FALSE(fs::exists(config_.cache(platform_.app_id)));
}

TEST_F(PushTest, AFirstWebJobThatEndsFailsThePush) {
  platform_.web_fails = true;

  Ran pushed = push();

  EXPECT_NE(pushed.status, 0);
  EXPECT_NE(pushed.output.find("Initial web job failed to start: web job abcdef01 ended: exit status 7"),
            std::string::npos)
      << pushed.output;
}

TEST_F(PushTest, OffersNoShellAndNoFetch) {
  Ran shell =
      run({"ssh", "-F", "none", "-i", top_ + "/id", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
           "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-p", port_, "127.0.0.1", "cat /etc/passwd"});

  EXPECT_NE(shell.status, 0);
  EXPECT_NE(shell.output.find("Only `git push` is supported"), std::string::npos) << shell.output;
}

TEST_F(PushTest, DeploysAPushByHttp) {
  const auto pushed = git({"push", http_url("hello"), "HEAD:refs/heads/master"});

  EXPECT_EQ(pushed.status, 0) << pushed.output;
  EXPECT_NE(pushed.output.find("hello"), std::string::npos) << pushed.output;
  EXPECT_EQ(platform_.blobs.size(), 1u) << "one slug";
}

TEST_F(PushTest, GivesBackWhatWasPushedByHttp) {
  // More than a pipe holds, and nothing that compresses.
  std::ofstream(work() + "/noise") << run({"head", "-c", "3000000", "/dev/urandom"}).output;
  commit();
  ASSERT_EQ(git({"push", http_url("hello"), "HEAD:refs/heads/master"}).status, 0);

  const auto cloned = run({"git", "clone", "-q", "-b", "master", http_url("hello"), top_ + "/clone"});

  EXPECT_EQ(cloned.status, 0) << cloned.output;
  EXPECT_EQ(run({"cmp", top_ + "/clone/noise", work() + "/noise"}).status, 0);
}

TEST_F(PushTest, AsksForAPasswordAndRefusesAWrongOne) {
  const auto wrong = git({"push", http_url("hello", "wrong"), "HEAD:refs/heads/master"});

  EXPECT_NE(wrong.status, 0);
  EXPECT_NE(wrong.output.find("Authentication failed"), std::string::npos) << wrong.output;
  const auto asked =
      run({"curl", "-s", "-i", "http://127.0.0.1:" + http_port_ + "/hello.git/info/refs?service=git-receive-pack"});
  EXPECT_NE(asked.output.find("401"), std::string::npos) << asked.output;
  EXPECT_NE(asked.output.find("WWW-Authenticate: Basic"), std::string::npos) << asked.output;
}

TEST_F(PushTest, TellsByHttpWhatIsWrongWithAPath) {
  const auto code = [&](const std::string& path) {
    return run({"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", "user:secret",
                "http://127.0.0.1:" + http_port_ + path})
        .output;
  };

  EXPECT_EQ(code("/nobody.git/info/refs?service=git-receive-pack"), "404");
  EXPECT_EQ(code("/hello.git/info/refs"), "404") << "the dumb protocol";
  EXPECT_EQ(code("/hello.git/HEAD"), "403");
  EXPECT_EQ(code("/..%2f..%2fetc/info/refs?service=git-upload-pack"), "403");
  EXPECT_EQ(code("/hello.git/info/refs?service=git-shell"), "403");
  EXPECT_EQ(code("/.well-known/status"), "200");
}

TEST_F(PushTest, RefusesABadPushByHttpAsItDoesBySsh) {
  const auto pushed = git({"push", http_url("hello"), "HEAD:refs/heads/topic"});

  EXPECT_NE(pushed.status, 0);
  EXPECT_NE(pushed.output.find("must include a change to the master branch"), std::string::npos) << pushed.output;
}

}  // namespace
}  // namespace flynn::builder
