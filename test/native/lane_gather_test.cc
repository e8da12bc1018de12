// When requests gather: with a client at the other end of a unix or TCP socket that reads, or does not.
#include "../../native/core/fast/lane_gather.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "../../native/core/descriptor.h"
#include "check.h"

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
  const Descriptor listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  CHECK_EQ(listen(listening.get(), 1), 0);
  CHECK_EQ(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  Ends ends{Descriptor(), Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  // A buffer that does not grow: what the client has not read shows in its window at once.
  const int room = 64 << 10;
  CHECK_EQ(setsockopt(ends.client.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
  CHECK_EQ(connect(ends.client.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ends.lane = Descriptor(accept(listening.get(), nullptr, nullptr));
  const int on = 1;
  for (const int fd : {ends.lane.get(), ends.client.get()}) CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
  return ends;
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

// Who waits for each reply pays for a look now and then only, and a look that gains nothing is worth no more.
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
