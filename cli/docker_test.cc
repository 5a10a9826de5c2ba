// `flynn docker push` against a controller and an image server on real sockets, with archives as Docker, podman and
// skopeo write them, and with an engine on a unix socket.
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/StreamCopier.h>
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>

#include "app_archive.h"
#include "documents.h"
#include "image_archive.h"
#include "image_config.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

std::string sha256(const std::string& bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::string content_of(int fd) {
  std::string bytes(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

std::string tar_of(const Files& files) {
  const UniqueFd memory(::memfd_create("tar", MFD_CLOEXEC));
  auto writer = ArchiveWriter::open(memory.get());
  for (const auto& [name, text] : files) EXPECT_TRUE(writer->add(name, text));
  EXPECT_TRUE(writer->finish());
  return content_of(memory.get());
}

std::string gzipped(const std::string& bytes) {
  std::string out(bytes.size() + 4096, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_raw(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "data");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_free(writer);
  return out.substr(0, used);
}

/// Two layers, of which the first is a base.
struct Image {
  std::string base = tar_of({{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n"},
                             {"etc/group", "root:x:0:\nstaff:x:50:\n"}});
  std::string top = tar_of({{"app/server", std::string(700'000, 's')}});

  json::object config() const {
    return json::parse(R"({"architecture":"amd64","os":"linux","config":{"User":"node:staff","WorkingDir":"/app",
        "Env":["PATH=/bin","PORT=8080","A=image","=odd"],"Entrypoint":["/app/server"],"Cmd":["--port","8080"]},
        "rootfs":{"type":"layers","diff_ids":["sha256:)" +
                       sha256(base) + R"(","sha256:)" + sha256(top) + R"("]}})")
        .as_object();
  }
  /// As `docker save` did before 25, and podman and skopeo do.
  std::string docker_archive() const {
    return tar_of(
        {{"aa/layer.tar", base},
         {"bb/layer.tar", top},
         {"cc.json", json::serialize(config())},
         {"manifest.json",
          R"([{"Config":"cc.json","RepoTags":["docker.io/library/shop:1"],"Layers":["aa/layer.tar","bb/layer.tar"]}])"}});
  }
  std::string oci_archive() const {
    const std::string zipped = gzipped(top), settings = json::serialize(config());
    const std::string manifest = json::serialize(
        json::object{{"config", {{"digest", "sha256:" + sha256(settings)}}},
                     {"layers", {{{"digest", "sha256:" + sha256(base)}}, {{"digest", "sha256:" + sha256(zipped)}}}}});
    const std::string index = R"({"manifests":[{"digest":"sha256:)" + sha256("none") +
                              R"(","platform":{"os":"unknown","architecture":"unknown"}},{"digest":"sha256:)" +
                              sha256(manifest) + R"("}]})";
    const auto blob = [](const std::string& bytes) { return std::pair{"blobs/sha256/" + sha256(bytes), bytes}; };
    return tar_of(
        {{"oci-layout", "{}"}, {"index.json", index}, blob(settings), blob(manifest), blob(base), blob(zipped)});
  }
};

/// images.DOMAIN: keeps what it gets, and checks its digest.
class ImageServer {
 public:
  ImageServer()
      : server_(new Factory(*this), Poco::Net::ServerSocket(Poco::Net::SocketAddress("127.0.0.1", 0)), params()) {
    server_.start();
  }
  ~ImageServer() { server_.stopAll(true); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

  std::map<std::string, std::string> layers;
  json::object manifest;
  std::vector<std::string> requests;
  bool full = false;

 private:
  struct Handler : Poco::Net::HTTPRequestHandler {
    explicit Handler(ImageServer& owner_in) : owner(owner_in) {}
    void handleRequest(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response) override {
      std::string body;
      Poco::StreamCopier::copyToString(request.stream(), body);
      const std::string answer = owner.answer(request, body, response);
      response.setContentType(answer.empty() ? "text/plain" : "application/json");
      response.sendBuffer(answer.data(), answer.size());
    }
    ImageServer& owner;
  };
  struct Factory : Poco::Net::HTTPRequestHandlerFactory {
    explicit Factory(ImageServer& owner_in) : owner(owner_in) {}
    Poco::Net::HTTPRequestHandler* createRequestHandler(const Poco::Net::HTTPServerRequest&) override {
      return new Handler(owner);
    }
    ImageServer& owner;
  };
  static Poco::Net::HTTPServerParams* params() {
    auto* made = new Poco::Net::HTTPServerParams;
    made->setMaxThreads(1);  // one request after the other: no lock
    return made;
  }
  std::string answer(const Poco::Net::HTTPServerRequest& request, const std::string& body,
                     Poco::Net::HTTPServerResponse& response) {
    const std::string path = request.getURI(), id = path.substr(path.rfind('/') + 1);
    requests.push_back(request.getMethod() + " " + path.substr(0, path.rfind('/')));
    const auto refuse = [&](int status, std::string words = "") {
      response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
      return words;
    };
    if (request.get("Authorization", "") != "Basic OnMzY3JldC1rZXk=") return refuse(401);
    if (path == "/artifact") {
      manifest = json::parse(body).as_object();
      return R"({"id":"artifact-1","type":"flynn"})";
    }
    if (full) return refuse(507, R"({"code":"unknown_error","message":"the disk is full","retry":false})");
    if (request.getMethod() == "POST") {
      if (sha256(body) != id) return refuse(400, R"({"code":"validation_error","message":"another digest"})");
      layers[id] = body;
    }
    return layers.contains(id) ? R"({"id":"squashed-)" + id.substr(0, 4) + R"("})" : refuse(404);
  }
  Poco::Net::HTTPServer server_;
};

struct DockerPush : ::testing::Test {
  TestController controller;
  ImageServer images;
  Image image;
  Program flynn;

  void SetUp() override {
    const auto added = flynn.run({"cluster", "add", "--git-url", "ssh://x", "--image-url", images.url(), "default",
                                  controller.url(), TestController::kKey});
    ASSERT_EQ(added.code, 0) << added.err;
    controller.add_app("web");
  }
  std::string file(const std::string& bytes) const {
    const std::string path = flynn.folder() + "/image.tar";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
};

TEST_F(DockerPush, UploadsLayersAndDeploysARelease) {
  ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=own", "B=kept"}).code, 0);

  const auto pushed = flynn.run({"-a", "web", "docker", "push", "--file", file(image.docker_archive()), "shop:1"});

  ASSERT_EQ(pushed.code, 0) << pushed.err;
  const auto said = [&](const std::string& words) { return pushed.err.find(words) != std::string::npos; };
  EXPECT_TRUE(said("deploying Docker image: shop:1\n")) << pushed.err;
  EXPECT_TRUE(said("uploading layer " + sha256(image.base) + "\n"));
  EXPECT_TRUE(said("uploading layer " + sha256(image.top) + "\n"));
  EXPECT_TRUE(said("Docker image deployed, scale it with 'flynn scale app=N'\n"));
  EXPECT_EQ(images.layers[sha256(image.top)], image.top);
  const json::object release = controller.release_of("web");
  EXPECT_EQ(json::serialize(release.at("artifacts")), R"(["artifact-1"])");
  EXPECT_EQ(text_of(object_of(release, "env"), "A"), "own") << "the app's own counts";
  EXPECT_EQ(text_of(object_of(release, "env"), "B"), "kept");
  EXPECT_EQ(text_of(object_of(release, "env"), "PORT"), "8080");
  EXPECT_EQ(
      json::serialize(object_of(object_of(release, "processes"), "app")),
      R"({"args":["/app/server","--port","8080"],"ports":[{"port":8080,"proto":"tcp","service":{"name":"web-web","create":true}}]})");
}

TEST_F(DockerPush, DescribesTheImageAsAManifest) {
  ASSERT_EQ(flynn.run({"-a", "web", "docker", "push", "--file", file(image.docker_archive())}).code, 0);

  const json::object& entrypoint = object_of(object_of(images.manifest, "entrypoints"), "_default");
  EXPECT_EQ(text_of(entrypoint, "cwd"), "/app");
  EXPECT_EQ(number_of(entrypoint, "uid"), 1000) << "node, of the image's own passwd";
  EXPECT_EQ(number_of(entrypoint, "gid"), 50);
  EXPECT_EQ(json::serialize(object_of(entrypoint, "env")),
            R"({"A":"image","HOME":"/home/node","PATH":"/bin","PORT":"8080"})");
  const json::object& root = as_object(array_of(images.manifest, "rootfs").at(0));
  EXPECT_EQ(json::serialize(root.at("layers")), R"([{"id":"squashed-)" + sha256(image.base).substr(0, 4) +
                                                    R"("},{"id":"squashed-)" + sha256(image.top).substr(0, 4) +
                                                    R"("}])");
}

TEST_F(DockerPush, SendsNoLayerTwice) {
  const auto line = std::vector<std::string>{"-a", "web", "docker", "push", "--file", file(image.docker_archive())};
  ASSERT_EQ(flynn.run(line).code, 0);
  images.requests.clear();

  const auto again = flynn.run(line);

  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(images.requests, (std::vector<std::string>{"GET /layer", "GET /layer", "POST "}));
  EXPECT_EQ(again.err.find("uploading"), std::string::npos);
}

TEST_F(DockerPush, TakesAnOciLayoutWithCompressedLayers) {
  const auto pushed = flynn.run({"-a", "web", "docker", "push", "--json", "--file", file(image.oci_archive())});

  ASSERT_EQ(pushed.code, 0) << pushed.err;
  EXPECT_EQ(images.layers[sha256(image.top)], image.top) << "sent as the plain tar";
  const json::value document = json::parse(pushed.out);
  EXPECT_EQ(text_of(as_object(document), "artifact"), "artifact-1");
  EXPECT_FALSE(text_of(as_object(document), "release").empty());
}

TEST_F(DockerPush, PlansWithoutChangingAnything) {
  const auto planned = flynn.run({"-a", "web", "docker", "push", "--plan", "--file", file(image.docker_archive())});

  EXPECT_EQ(planned.code, 0) << planned.err;
  EXPECT_NE((planned.out + planned.err).find("upload layer " + sha256(image.top)), std::string::npos) << planned.out;
  EXPECT_TRUE(images.layers.empty());
  EXPECT_TRUE(controller.release_of("web").empty());
}

TEST_F(DockerPush, SaysWhatIsWrong) {
  const auto push = [&](const std::string& bytes, const std::vector<std::string>& more = {}) {
    std::vector<std::string> line{"-a", "web", "docker", "push", "--file", file(bytes)};
    line.insert(line.end(), more.begin(), more.end());
    return flynn.run(line).err;
  };

  EXPECT_NE(push("no archive at all").find("\ncode: file-unreadable"), std::string::npos) << push("no archive");
  EXPECT_NE(push(tar_of({{"a", "b"}})).find("neither manifest.json nor index.json"), std::string::npos);
  EXPECT_NE(push(image.docker_archive().substr(0, 300'000)).find("code: file-unreadable"), std::string::npos);
  images.full = true;
  EXPECT_NE(push(image.docker_archive()).find("the disk is full"), std::string::npos);
  images.full = false;
  EXPECT_EQ(flynn.run({"-a", "web", "docker", "push"}).code, 2);
  EXPECT_EQ(flynn.run({"-a", "nobody", "docker", "push", "--file", file(image.docker_archive())}).code, 3);
  EXPECT_TRUE(controller.release_of("web").empty());
}

/// An engine that has one image, and sends it in chunks as Docker does.
class Engine {
 public:
  Engine(const std::string& path, std::string archive) : archive_(std::move(archive)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket_.get(), 4), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~Engine() {
    ::shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string asked;  // after the client has ended

 private:
  void serve() {
    for (;;) {
      const UniqueFd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      std::string head;
      for (char c = 0; !head.ends_with("\r\n\r\n") && ::recv(client.get(), &c, 1, 0) == 1;) head += c;
      asked = head.substr(0, head.find("\r\n"));
      std::string answer =
          "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n"
          R"({"message":"No such image: other"})";
      if (head.find("shop:1") != std::string::npos) {
        answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (std::size_t at = 0; at < archive_.size(); at += 0x8000) {
          const std::string chunk = archive_.substr(at, 0x8000);
          std::array<char, 16> size{};
          std::snprintf(size.data(), size.size(), "%zx\r\n", chunk.size());
          answer += size.data() + chunk + "\r\n";
        }
        answer += "0\r\n\r\n";
      }
      for (std::string_view left = answer; !left.empty();) {
        const ssize_t sent = ::send(client.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        left.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
  }
  std::string archive_;
  UniqueFd socket_;
  std::thread thread_;
};

TEST_F(DockerPush, ExportsTheImageFromDockersEngine) {
  const std::string path = flynn.folder() + "/docker.sock";
  flynn.set("DOCKER_HOST", "unix://" + path);
  const auto without = flynn.run({"-a", "web", "docker", "push", "reg.test/shop:1"});
  Outcome pushed, absent;
  std::string asked;
  {
    Engine engine(path, image.docker_archive());
    absent = flynn.run({"-a", "web", "docker", "push", "other"});
    pushed = flynn.run({"-a", "web", "docker", "push", "reg.test/shop:1"});
    asked = engine.asked;
  }

  EXPECT_NE(without.err.find("connect to Docker at"), std::string::npos) << without.err;
  EXPECT_EQ(absent.code, 3);
  EXPECT_NE(absent.err.find("No such image: other"), std::string::npos) << absent.err;
  EXPECT_EQ(pushed.code, 0) << pushed.err;
  EXPECT_EQ(asked, "GET /images/reg.test/shop:1/get HTTP/1.1");
  EXPECT_NE(pushed.err.find("exporting image with 'docker save reg.test/shop:1'\n"), std::string::npos);
  EXPECT_EQ(images.layers.size(), 2U);
}

TEST(ImageConfig, FindsTheUserInTheImagesFiles) {
  const std::string passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n",
                    group = "g:x:7:\n";

  EXPECT_EQ(find_user("", "", "")->uid, 0);
  EXPECT_EQ(find_user("node", passwd, group)->gid, 1001);
  EXPECT_EQ(find_user("node:g", passwd, group)->gid, 7);
  EXPECT_EQ(find_user("1000", passwd, group)->gid, 1001);
  EXPECT_EQ(find_user("1234", passwd, group)->gid, 0);
  EXPECT_EQ(find_user("1234:5", "", "")->gid, 5);
  EXPECT_FALSE(find_user("nobody", passwd, group));
  EXPECT_FALSE(find_user("node:nobody", passwd, group));
  EXPECT_FALSE(needs_files("1:2"));
  EXPECT_TRUE(needs_files("1"));
}

TEST(ImageArchive, NamesStayInTheArchive) {
  EXPECT_EQ(member_name("./a//b/../c"), "a/c");
  EXPECT_EQ(member_name("../../x"), "x");
}

}  // namespace
}  // namespace flynn::cli::testing
