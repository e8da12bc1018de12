// Gathering of requests, with a client at the other end of a unix or TCP socket that reads, or does
// not.
#include "../../native/core/fast/tuning/lane_gather.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "../../native/core/descriptor.h"
#include "check.h"
#include "tcp_pair.h"

namespace {

using copse::Descriptor;
using copse::LaneGather;

struct Ends {
  Descriptor lane, client;

  // A reply, as far as the kernel is concerned.
  void Reply(size_t size) const {
    const std::vector<uint8_t> bytes(size, 1);
    CHECK_EQ(send(lane.get(), bytes.data(), size, MSG_NOSIGNAL), size);
  }
  void ReadAll(size_t size) const {
    std::vector<uint8_t> bytes(size);
    CHECK_EQ(recv(client.get(), bytes.data(), size, MSG_WAITALL), size);
  }
  // With it comes what the client announces.
  void Request() const {
    uint8_t byte = 0;
    CHECK_EQ(send(client.get(), &byte, 1, MSG_NOSIGNAL), 1);
    CHECK_EQ(recv(lane.get(), &byte, 1, MSG_WAITALL), 1);
  }
};

Ends UnixEnds() {
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Ends TcpEnds() {
  // A buffer that does not grow: what the client has not read shows in its window at once.
  test::TcpPair pair = test::MakeTcpPair(64 << 10);
  const int on = 1;
  for (const int fd : {pair.server.get(), pair.client.get()}) CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
  return {std::move(pair.server), std::move(pair.client)};
}

constexpr size_t kReplyBytes = 4112, kReplies = 12;

struct Slept {
  bool with_nothing_unread, with_much;
};

// Leaves the replies unread.
Slept Exchange(const Ends& ends, LaneGather* gather) {
  Slept slept;
  ends.Request();
  slept.with_nothing_unread = gather->Sleep();
  for (size_t reply = 0; reply < kReplies; reply += 1) ends.Reply(kReplyBytes);
  ends.Request();
  slept.with_much = gather->Sleep();
  gather->Woke(true);
  return slept;
}

void SleepsWhileTheClientHasMuchToRead(const Ends& ends) {
  LaneGather gather(ends.lane.get());
  for (int i = 0; i < 5; i += 1) {
    const Slept slept = Exchange(ends, &gather);
    ends.ReadAll(kReplies * kReplyBytes);
    // A new connection's window has not its size yet.
    if (i > 1) CHECK(slept.with_much && !slept.with_nothing_unread);
  }
}

// A client that waits for each reply pays only for a look now and then, and a look that gains
// nothing counts for no more.
void LooksSeldomInVain(const Ends& ends) {
  LaneGather gather(ends.lane.get());
  for (int i = 0; i < 3; i += 1) {
    if (i > 0) ends.ReadAll(kReplies * kReplyBytes);
    Exchange(ends, &gather);
  }
  int sleeps = 0;
  for (int i = 0; i < 16 + 160; i += 1) {
    if (!gather.Sleep()) continue;
    sleeps += 1;
    gather.Woke(false);
  }
  CHECK(sleeps >= 10 && sleeps <= 26);
  // Something came, so the next ones look again.
  while (!gather.Sleep()) {
  }
  gather.Woke(true);
  CHECK(gather.Sleep());
}

}  // namespace

int main() {
  SleepsWhileTheClientHasMuchToRead(UnixEnds());
  SleepsWhileTheClientHasMuchToRead(TcpEnds());
  LooksSeldomInVain(UnixEnds());
  LooksSeldomInVain(TcpEnds());
  return 0;
}
