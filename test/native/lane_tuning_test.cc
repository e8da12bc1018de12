// The tuning of a whole lane: it gathers small reads, and marks its socket. lane_test.cc and the
// others pass without the calls that these tests need (native/core/fast/tuning).
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>

#include <thread>

#include "lane_client.h"
#include "tcp_pair.h"

using namespace test;

// Called on the lane's thread while it sleeps. No mutex is needed: the client is still meanwhile.
static std::function<void()> while_lane_sleeps;

// Takes the place of the C library's. Threads that are no lanes just sleep.
extern "C" int nanosleep(const timespec* time, timespec* left) {
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof(name));
  if (std::string(name) == "copse-lane" && while_lane_sleeps) while_lane_sleeps();
  return clock_nanosleep(CLOCK_MONOTONIC, 0, time, left) == 0 ? 0 : -1;
}

namespace {

// While the client has much to read, the lane sleeps before it answers a request. It answers the
// request together with those that come meanwhile, whatever these are.
void GathersForABusyClient(ReplyMode mode) {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), 8 * kMiB);
  Connection connection(mode);
  CHECK(connection.lane->Grant(source, false));
  std::atomic<int> sleeps{0};
  const auto read_all = [&](uint64_t first, uint64_t end) {
    for (uint64_t cookie = first; cookie < end; cookie += 1) {
      const std::pair<uint64_t, uint64_t> range(cookie * 4096, 4096);
      const Reply reply = ReadReply(connection, [&](uint64_t) { return range; });
      CHECK_EQ(reply.cookie, cookie);
      CheckContent(reply, range.first, range.second, [](uint64_t) { return false; });
    }
  };
  const auto request = [&](uint64_t cookie) { return RequestOf(mode, kRead, cookie, cookie * 4096, 4096); };
  // A client that reads each reply is not kept waiting.
  while_lane_sleeps = [&] { sleeps += 1; };
  for (uint64_t cookie = 1; cookie < 6; cookie += 1) {
    connection.Write(request(cookie));
    read_all(cookie, cookie + 1);
  }
  CHECK_EQ(sleeps.load(), 0);
  // While it sleeps come two reads, a request that goes up, a part of a header, and the end.
  const Bytes flush = RequestOf(mode, kFlush, 7, 0, 0);
  const Bytes last = request(29);
  const Bytes half(last.begin(), last.begin() + 11);
  while_lane_sleeps = [&] {
    if (sleeps++ > 0) return;
    for (uint64_t cookie = 27; cookie < 29; cookie += 1) connection.Write(request(cookie));
    connection.Write(flush);
    connection.Write(half);
    shutdown(connection.client.get(), SHUT_WR);
  };
  Bytes first;
  for (uint64_t cookie = 6; cookie < 26; cookie += 1) Append(&first, request(cookie));
  connection.Write(first);
  // The lane has sent all of them, and the client has read none.
  while (connection.lane->counters().reads < 25) std::this_thread::yield();
  connection.Write(request(26));
  Bytes up = flush;
  Append(&up, half);
  CHECK(connection.TakeUp(up.size() + 1) == up);
  CHECK(connection.up_over);
  CHECK_EQ(sleeps.load(), 1);
  read_all(6, 29);
  while_lane_sleeps = nullptr;
}

// A lane over TCP to its own host sends unpaced, whatever the system's congestion control is.
void SendsUnpacedToTheOwnHost() {
  test::TcpPair pair = test::MakeTcpPair();
  const copse::Descriptor same(dup(pair.server.get()));
  const auto name = [&] {
    char text[16] = "";
    socklen_t length = sizeof(text);
    CHECK_EQ(getsockopt(same.get(), IPPROTO_TCP, TCP_CONGESTION, text, &length), 0);
    return std::string(text);
  };
  // A kernel with one congestion control leaves nothing to see.
  if (name() == "reno") setsockopt(pair.server.get(), IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  Host host;
  std::shared_ptr<Lane> lane;
  CHECK_EQ(Lane::Start(std::move(pair.server), {ReplyMode::kSimple}, nullptr, 0, &host, &lane).error, 0);
  CHECK_EQ(name(), "reno");
  lane->Stop();
}

}  // namespace

int main() {
  for (const ReplyMode mode : {ReplyMode::kSimple, ReplyMode::kStructured, ReplyMode::kExtended}) {
    GathersForABusyClient(mode);
  }
  SendsUnpacedToTheOwnHost();
  return 0;
}
