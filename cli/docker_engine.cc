#include "docker_engine.h"

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/StreamCopier.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "app_archive.h"
#include "documents.h"
#include "names.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kChunk = 256U << 10U;
constexpr const char* kDefaultSocket = "/var/run/docker.sock";
constexpr const char* kWithout =
    "Start Docker, or push an archive: docker save -o image.tar <image>; flynn docker push --file image.tar";
const Poco::Timespan kAnswerTimeout(600, 0);

Result<std::string> socket_path() {
  const char* host = std::getenv("DOCKER_HOST");
  const std::string text = host != nullptr ? host : "";
  if (text.empty()) return std::string(kDefaultSocket);
  if (text.starts_with("unix://")) return text.substr(7);
  return failure("DOCKER_HOST is \"" + text + "\": only unix:// is spoken here", kWithout).as(ErrorCode::kNotSupported);
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("the path of Docker's socket is too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const int why = errno;
    return Error{"connect to Docker at " + path + ": " + std::strerror(why), kWithout, Failure::kRefused,
                 why == EACCES ? ErrorCode::kPermissionDenied : ErrorCode::kHostUnreachable};
  }
  return fd;
}

/// '/', ':' and '@' are part of a name.
std::string path_of(const std::string& name) {
  std::string path;
  for (const char c : name) path += std::strchr("/:@", c) != nullptr ? std::string(1, c) : percent_encode({&c, 1});
  return "/images/" + path + "/get";
}

Status copy_to(int file, std::istream& body, const Poco::Net::HTTPClientSession& session,
               const std::function<void(std::int64_t)>& progress) {
  std::vector<char> chunk(kChunk);
  std::int64_t come = 0;
  while (body.good()) {
    body.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const auto count = static_cast<std::size_t>(body.gcount());
    for (std::size_t done = 0; done < count;) {
      const ssize_t written = ::write(file, chunk.data() + done, count - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        return failure(std::string("keep the image's archive: ") + std::strerror(errno),
                       "Set TMPDIR to a folder with room for it.")
            .as(errno == ENOSPC ? ErrorCode::kDiskFull : ErrorCode::kFileUnreadable);
      done += static_cast<std::size_t>(written);
    }
    come += static_cast<std::int64_t>(count);
    progress(come);
  }
  if (session.networkException() != nullptr)
    return failure("export the image: " + session.networkException()->displayText(), kWithout);
  return Done{};
}

}  // namespace

Result<UniqueFd> export_docker_image(const std::string& name, const std::function<void(std::int64_t)>& progress) {
  const auto path = socket_path();
  if (!path) return path.error();
  auto fd = connect_to(*path);
  if (!fd) return fd.error();
  auto file = temporary_file();
  if (!file) return file;
  try {
    const Poco::Net::StreamSocket socket(new Poco::Net::StreamSocketImpl(fd->get()));
    (void)fd->release();
    Poco::Net::HTTPClientSession session(socket);
    session.setKeepAlive(true);  // else Poco closes the socket it was given
    session.setTimeout(kAnswerTimeout);
    Poco::Net::HTTPRequest request("GET", path_of(name), Poco::Net::HTTPMessage::HTTP_1_1);
    request.setHost("docker");
    session.sendRequest(request);
    Poco::Net::HTTPResponse response;
    std::istream& body = session.receiveResponse(response);
    if (response.getStatus() != Poco::Net::HTTPResponse::HTTP_OK) {
      std::string text;
      Poco::StreamCopier::copyToString(body, text);
      const auto document = parse_json("docker", text);
      const std::string words = document ? text_of(as_object(*document), "message") : text;
      const bool absent = response.getStatus() == Poco::Net::HTTPResponse::HTTP_NOT_FOUND;
      return Error{"export the image " + name + ": Docker says: " + words,
                   absent ? "'docker images' lists those of this machine; 'docker pull' fetches one." : kWithout,
                   absent ? Failure::kNotFound : Failure::kOther, absent ? ErrorCode::kNotFound : ErrorCode::kFailed};
    }
    if (auto copied = copy_to(file->get(), body, session, progress); !copied) return copied.error();
    return file;
  } catch (const Poco::Exception& error) {
    return Error{"export the image " + name + ": " + error.displayText(), kWithout, Failure::kRefused,
                 ErrorCode::kConnectionLost};
  }
}

}  // namespace flynn::cli
