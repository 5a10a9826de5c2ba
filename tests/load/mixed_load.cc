#include "mixed_load.h"

#include <algorithm>
#include <utility>

#include "load_backend.h"

namespace flynn::load {

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMessageBytes = 64;

std::string message(std::uint64_t number) {
  auto text = std::to_string(number);
  text.resize(kMessageBytes, '.');
  return text;
}

}  // namespace

MixedLoad::MixedLoad(int port, std::string host, const Mix& mix, int tcp_port)
    : port_(port),
      tcp_port_(tcp_port),
      host_(std::move(host)),
      mix_(mix),
      ok_sum_(checksum("ok")),
      long_sum_(long_body_sum()),
      upload_sum_(checksum(std::to_string(long_body_sum()))) {
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    for (int i = 0; i < mix.lanes[kind] && port_for(static_cast<Kind>(kind)) != 0; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
      lanes_.back()->kind = static_cast<Kind>(kind);
    }
  for (auto& lane : lanes_) lane->thread = std::thread([this, &lane] { drive(*lane); });
}

std::string MixedLoad::head(const char* first_line, const char* more) const {
  return std::string(first_line) + " HTTP/1.1\r\nHost: " + host_ + "\r\n" + more + "\r\n";
}

std::string MixedLoad::read(HttpWire& wire, std::uint64_t sum) {
  const auto answer = wire.read_answer();
  if (!answer.wrong.empty()) return answer.wrong;
  if (answer.status != 200) return "status " + std::to_string(answer.status);
  if (answer.body_sum != sum) return "another body than was sent";
  if (answer.closing) wire.close();
  return {};
}

std::string MixedLoad::upload(HttpWire& wire) const {
  const auto length = "Content-Length: " + std::to_string(kPieces * kPieceBytes) + "\r\n";
  if (!wire.send(head("POST /upload", length.c_str()))) return "send a head";
  for (int i = 0; i < kPieces; ++i) {
    if (!wire.send(piece(i))) return "send a piece of a body";
    if (i + 1 < kPieces && wire.readable_within(kPieceMs)) break;  // an answer before the end is an error
  }
  return read(wire, upload_sum_);
}

std::string MixedLoad::ask(Lane& lane, HttpWire& wire) const {
  switch (lane.kind) {
    case kUpload:
      return upload(wire);
    case kDownload:
      return wire.send(head("GET /download")) ? read(wire, long_sum_) : "send";
    case kOneShot:
      return wire.send(head("GET /", "Connection: close\r\n")) ? read(wire, ok_sum_) : "send";
    default:
      return wire.send(head("GET /")) ? read(wire, ok_sum_) : "send";
  }
}

void MixedLoad::drive(Lane& lane) const {
  if (lane.kind == kTunnel || lane.kind == kTcpTunnel) return drive_tunnel(lane);
  auto& result = lane.result;
  HttpWire wire;
  while (!ending_) {
    const auto begin = Clock::now();
    if (!wire.open()) {
      wire = HttpWire::connect(port_for(lane.kind));
      if (lane.kind != kOneShot && lane.kind != kTcpShort) ++result.connections;
    }
    const auto wrong = wire.open() ? ask(lane, wire) : "connect: refused";
    const std::chrono::duration<double, std::milli> lasted = Clock::now() - begin;
    if (wrong.empty()) {
      ++result.answered[lane.kind];
      if (lane.kind == kKeepAlive || lane.kind == kOneShot) result.samples.push_back({begin, lasted.count()});
    } else {
      ++result.failed;
      if (result.first_failure.empty()) result.first_failure = std::string(kKindNames[lane.kind]) + ": " + wrong;
      wire.close();
    }
    if (lane.kind == kOneShot || lane.kind == kTcpShort) wire.close();
    // A server may close an idle connection; that is no failure, but it is counted by `connections`.
    if (wire.readable_within(mix_.think_ms) && wire.open()) wire.close();
  }
}

void MixedLoad::drive_tunnel(Lane& lane) const {
  auto& result = lane.result;
  const auto fail = [&](std::string what) {
    ++(lane.kind == kTunnel ? result.tunnels_lost : result.tcp_tunnels_lost);
    result.first_failure = std::string(kKindNames[lane.kind]) + ": " + std::move(what);
  };
  // Over TCP it is the app itself that is asked for a tunnel.
  auto wire = HttpWire::connect(port_for(lane.kind));
  wire.send(head("GET /socket", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n"));
  if (!wire.read_head().starts_with("HTTP/1.1 101")) return fail("not opened");
  for (std::uint64_t number = 0; !ending_; ++number) {
    // Two on their way at once, so that a move finds bytes in both directions.
    if (!wire.send(message(number)) || !wire.send(message(~number))) return fail("closed while sending");
    if (wire.read_exactly(kMessageBytes) != message(number) || wire.read_exactly(kMessageBytes) != message(~number))
      return fail("other bytes than were sent after message " + std::to_string(number));
    ++result.answered[lane.kind];
    if (wire.readable_within(mix_.think_ms)) return fail("bytes that nobody sent, or the end");
  }
}

LoadResult MixedLoad::stop() {
  ending_ = true;
  LoadResult total;
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
    auto& one = lane->result;
    for (std::size_t kind = 0; kind < kKinds; ++kind) total.answered[kind] += one.answered[kind];
    total.failed += one.failed;
    total.connections += one.connections;
    total.tunnels_lost += one.tunnels_lost;
    total.tcp_tunnels_lost += one.tcp_tunnels_lost;
    if (total.first_failure.empty()) total.first_failure = one.first_failure;
    total.samples.insert(total.samples.end(), one.samples.begin(), one.samples.end());
  }
  return total;
}

double quantile_ms(const std::vector<Sample>& samples, const std::vector<Span>& spans, double q) {
  std::vector<double> chosen;
  for (const auto& sample : samples)
    for (const auto& span : spans)
      if (sample.begin >= span.first && sample.begin < span.second) {
        chosen.push_back(sample.ms);
        break;
      }
  if (chosen.empty()) return 0;
  const auto at = static_cast<std::size_t>(q * static_cast<double>(chosen.size() - 1));
  std::nth_element(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(at), chosen.end());
  return chosen[at];
}

}  // namespace flynn::load
