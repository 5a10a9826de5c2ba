// GET /backup over a real socket, with the real store and the real blobs behind it.
#include <archive.h>
#include <archive_entry.h>

#include <boost/json.hpp>
#include <fstream>
#include <map>

#include "../blobstore/blob_files.h"
#include "backup/archive_reader.h"
#include "backup/digest.h"
#include "controller.h"
#include "node_door_test.h"
#include "wire_client_test.h"

namespace flynn::controller {
namespace {

constexpr const char* kAuthorization = "Authorization: Basic OnNlY3JldA==\r\n";  // the empty user, password "secret"

/// NodeDoor, and flynn.blobstore/1 as its plugin answers it.
class BlobDoor : public NodeDoor {
 public:
  using Door::call;
  BlobDoor() {
    std::filesystem::create_directory(folder() / "blobs");
    auto opened = blobstore::BlobFiles::open((folder() / "blobs").string());
    if (!opened) ADD_FAILURE() << opened.error().message;
    blobs_ = std::move(*opened);
  }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>& fds) override {
    if (interface != "flynn.blobstore/1") return NodeDoor::call(interface, method, body, deadline, fds);
    if (method == "List") {
      auto found = blobs_->list(string_or(body, "prefix"), 1, string_or(body, "after"));  // one a page
      if (!found) return found.error();
      json::array list;
      for (const auto& blob : found->blobs) list.push_back(json::object{{"name", blob.name}, {"size", blob.size}});
      return Reply{json::object{{"blobs", list}, {"more", found->more}}};
    }
    if (method != "Get") return Error{Code::unimplemented, "not asked here"};
    auto blob = blobs_->get(string_or(body, "name"));
    if (!blob) return blob.error();
    return Reply{json::object{{"size", blob->info.size}}, std::move(blob->file)};
  }
  /// A layer of so many bytes; its id.
  std::string given_a_layer(std::size_t size, char filled_with) {
    const std::string content(size, filled_with);
    blobstore::Sha512_256 digest;
    digest.update(content.data(), content.size());
    const std::string id = digest.finish(), name = "layers/" + id + ".squashfs";
    auto writer = blobs_->writer(name);
    EXPECT_TRUE(writer && writer->write(content) && writer->commit(name, id));
    return id;
  }

 private:
  std::unique_ptr<blobstore::BlobFiles> blobs_;
};

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    Settings settings;
    settings.data_dir = door_.folder().string();
    settings.auth_keys = {"secret"};
    controller_ = std::make_unique<Controller>(door_, log_, settings, ListenerOptions{}, std::chrono::milliseconds(20));
    EXPECT_TRUE(controller_->start().ok());
    UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listening.get(), 16), 0);
    EXPECT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_TRUE(controller_->prepare(std::move(listening)).ok());
    EXPECT_TRUE(controller_->activate().ok());
    // Until bootstrap has written it, a cluster has no domain.
    const auto deadline = Deadline::after(std::chrono::seconds(20));
    while (ask("GET /ca-cert", "*/*").status != 200 && !deadline.passed()) ::poll(nullptr, 0, 5);
  }
  static std::string request(const std::string& line, const std::string& accept, const std::string& body = "") {
    return line + " HTTP/1.1\r\nHost: c\r\n" + kAuthorization + "Accept: " + accept +
           "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
  WireAnswer ask(const std::string& line, const std::string& accept, const std::string& body = "") {
    WireConnection connection(port_);
    connection.send(request(line, accept, body));
    return wire_answer(connection.read_until(""));
  }
  json::object record() {
    const auto answer = ask("GET /backup", "application/json");
    EXPECT_EQ(answer.status, 200) << answer.body;
    auto parsed = parse_json_object(answer.body);
    return parsed ? *parsed : json::object{};
  }
  static Result<backup::Manifest> manifest_of(const std::string& archive) {
    return backup::read_archive(
        [rest = std::string_view(archive)](char* into, std::size_t size) mutable -> Result<std::size_t> {
          const std::size_t count = rest.copy(into, size);
          rest.remove_prefix(count);
          return count;
        });
  }
  /// Waits on the stream of events until the newest record says so.
  void wait_for(const std::string& status) {
    WireConnection events(port_);
    events.send(request("GET /events?object_types=cluster_backup&past=true", "text/event-stream"));
    events.read_until(R"("status":")" + status + '"');
  }

  QuietLog log_;
  BlobDoor door_;
  std::unique_ptr<Controller> controller_;
  std::uint16_t port_ = 0;
};

/// By libarchive alone, as anybody's tar would.
std::map<std::string, std::string> unpacked(const std::string& bytes) {
  std::map<std::string, std::string> members;
  struct archive* reader = archive_read_new();
  archive_read_support_format_tar(reader);
  EXPECT_EQ(archive_read_open_memory(reader, bytes.data(), bytes.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    std::string content(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    EXPECT_EQ(archive_read_data(reader, content.data(), content.size()), static_cast<la_ssize_t>(content.size()));
    members[archive_entry_pathname(entry)] = std::move(content);
  }
  archive_read_free(reader);
  return members;
}

std::string digest_of(const std::string& bytes, backup::Digest::Kind kind) {
  backup::Digest digest(kind);
  digest.update(bytes.data(), bytes.size());
  return digest.finish();
}

TEST_F(BackupTest, WithoutOneThereIsNoRecord) {
  const auto answer = ask("GET /backup", "application/json");

  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "");
}

TEST_F(BackupTest, ASnapshotInAnEmptyFolderHasTheSameApps) {
  ASSERT_EQ(ask("POST /apps", "application/json", R"({"name":"shop"})").status, 200);
  const std::string shown = ask("GET /apps/shop", "application/json").body;
  const auto answer = ask("GET /backup", "application/tar");
  ASSERT_EQ(answer.status, 200) << answer.body;

  const auto members = unpacked(answer.body);
  ASSERT_TRUE(members.contains("store.snapshot") && members.contains("flynn.json"));
  const auto folder = door_.folder() / "restored";
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "store.db") << members.at("store.snapshot");
  store::StoreOptions options;
  options.journal.folder = folder;
  options.journal.key_file = door_.folder() / "key";
  auto restored = store::Store::open(options, log_);

  ASSERT_TRUE(restored.ok()) << restored.error().message;
  const auto before = parse_json_object(shown);
  const auto found = (*restored)->call("Get", {{"key", app_key(text_of(*before, "id"))}}, Deadline::after(10s));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(public_form(object_of(object_of(found->body, "kv"), "value")).at("name"), "shop");
  const auto running = (*restored)->call("Range", {{"prefix", "backups/"}}, Deadline::after(10s));
  EXPECT_EQ(number_of(running->body, "count", -1), 0) << "a restored cluster has no running backup";
}

TEST_F(BackupTest, DigestsAreThoseOfTheMembersAndTheRecordIsThatOfTheWhole) {
  const std::string layer = "layers/" + door_.given_a_layer(100'000, 'a') + ".squashfs";
  const auto answer = ask("GET /backup", "application/tar");
  EXPECT_NE(answer.head.find("content-type: application/tar"), std::string::npos) << answer.head;
  EXPECT_NE(answer.head.find("filename=\"flynn-backup-20"), std::string::npos) << answer.head;

  const auto members = unpacked(answer.body);
  const auto manifest = manifest_of(answer.body);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(string_or(manifest->document, "domain"), "flynn.localhost");
  EXPECT_GT(int_or(manifest->document, "revision"), 0);
  EXPECT_FALSE(find_array(manifest->document, "left_out")->empty());
  ASSERT_TRUE(members.contains(layer));
  for (const auto& member : manifest->members)
    EXPECT_EQ(member.sha256, digest_of(members.at(member.name), backup::Digest::Kind::sha256)) << member.name;
  const auto done = record();
  EXPECT_EQ(text_of(done, "status"), "complete");
  EXPECT_EQ(number_of(done, "size"), static_cast<std::int64_t>(answer.body.size()));
  EXPECT_EQ(text_of(done, "sha512"), digest_of(answer.body, backup::Digest::Kind::sha512));
  EXPECT_FALSE(text_of(done, "completed_at").empty());
}

TEST_F(BackupTest, LayersOfStacksGoAlongOnlyWhenAskedFor) {
  const std::string stack = door_.given_a_layer(1000, 's'), slug = door_.given_a_layer(1000, 'a');
  Change change;
  change.put("cluster/config", {{"v", 1}, {"stacks", {{"run", {{{"id", stack}}}}}}});
  ASSERT_FALSE(controller_->context().store.must_commit(change).has_value());
  const auto has = [&](const std::string& query, const std::string& id) {
    return unpacked(ask("GET /backup" + query, "application/tar").body).contains("layers/" + id + ".squashfs");
  };

  EXPECT_FALSE(has("", stack));
  EXPECT_TRUE(has("", slug));
  EXPECT_TRUE(has("?layers=true", stack));
  EXPECT_FALSE(has("?layers=false", slug));
  EXPECT_EQ(ask("GET /backup?layers=some", "application/tar").status, 400);
}

TEST_F(BackupTest, ASecondOneAtTheSameTimeIsAConflict) {
  door_.given_a_layer(32 << 20, 'a');  // more than the sockets between us hold
  WireConnection first(port_);
  first.send(request("GET /backup", "application/tar"));
  first.read_until("\r\n\r\n");

  const auto second = ask("GET /backup", "application/tar");

  EXPECT_EQ(second.status, 409);
  EXPECT_NE(second.body.find(R"("code":"conflict")"), std::string::npos) << second.body;
  EXPECT_EQ(text_of(record(), "status"), "running");
  EXPECT_TRUE(manifest_of(wire_answer(first.read_until("")).body).ok());
  EXPECT_EQ(text_of(record(), "status"), "complete");
}

TEST_F(BackupTest, AClientThatLeavesMakesItAnError) {
  door_.given_a_layer(32 << 20, 'a');
  {
    WireConnection leaving(port_);
    leaving.send(request("GET /backup", "application/tar"));
    leaving.read_until("\r\n\r\n");
  }

  wait_for("error");

  const auto ended = record();
  EXPECT_EQ(text_of(ended, "status"), "error");
  EXPECT_NE(text_of(ended, "error").find("client"), std::string::npos) << text_of(ended, "error");
  EXPECT_EQ(text_of(ended, "sha512"), "");
}

TEST_F(BackupTest, AControllerThatStopsEndsItAndTheNextOneSettlesWhatIsLeft) {
  door_.given_a_layer(32 << 20, 'a');
  WireConnection client(port_);
  client.send(request("GET /backup", "application/tar"));
  client.read_until("\r\n\r\n");

  controller_->stop();

  EXPECT_FALSE(manifest_of(wire_answer(client.read_until("")).body).ok());
  auto newest = controller_->context().backups.newest();
  ASSERT_TRUE(newest && *newest);
  EXPECT_EQ(text_of(**newest, "status"), "error");
  Change killed;
  killed.put("backups/left", {{"v", 1}, {"id", "left"}, {"status", "running"}});
  ASSERT_FALSE(controller_->context().store.must_commit(killed).has_value());
  controller_->context().backups.end_interrupted();
  newest = controller_->context().backups.newest();
  ASSERT_TRUE(newest && *newest);
  EXPECT_EQ(text_of(**newest, "id"), "left");
  EXPECT_EQ(text_of(**newest, "status"), "error");
}

TEST_F(BackupTest, OnlyTheNewestRecordsAreKept) {
  auto& store = controller_->context().store;
  for (int i = 0; i < 55; ++i) {
    const std::string id = "old-" + std::to_string(i);
    Change change;
    change.put("backups/" + id, {{"v", 1}, {"id", id}, {"status", "complete"}});
    ASSERT_FALSE(store.must_commit(change).has_value());
  }

  ASSERT_EQ(ask("GET /backup", "application/tar").status, 200);

  EXPECT_EQ(*store.count("backups/"), 50);
  EXPECT_FALSE(store.get("backups/old-5")->has_value());
  EXPECT_TRUE(store.get("backups/old-6")->has_value());
}

TEST_F(BackupTest, BeginAndEndAreEvents) {
  ASSERT_EQ(ask("GET /backup", "application/tar").status, 200);

  const std::string events = ask("GET /events?object_types=cluster_backup", "application/json").body;

  EXPECT_NE(events.find(R"("status":"running")"), std::string::npos) << events;
  EXPECT_NE(events.find(R"("status":"complete")"), std::string::npos) << events;
}

}  // namespace
}  // namespace flynn::controller
