// The writer by itself: replies leave whole and in order, whichever thread sends, and its end is
// told to all.
#include "../../native/core/fast/reply_writer.h"

#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "check.h"

using copse::Descriptor;
using copse::OwnedReply;
using copse::ReplyWriter;

namespace {

struct Listener final : ReplyWriter::Listener {
  void OnHostSent() override { host += 1; }
  void OnOwnedSent(size_t cost) override {
    owned += cost;
    if (std::this_thread::get_id() == maker) by_maker += 1;
  }
  std::atomic<uint64_t> host{0}, owned{0};
  const std::thread::id maker = std::this_thread::get_id();
  uint64_t by_maker = 0;  // of the owned
};

struct Ends {
  explicit Ends(Listener* listener) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const int size = 4096;
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    client = Descriptor(ends[1]);
    writer = std::make_shared<ReplyWriter>(Descriptor(ends[0]), listener);
  }
  Descriptor client;
  std::shared_ptr<ReplyWriter> writer;
};

// A reply is its sender's letter, its length, and that letter so many times.
std::vector<uint8_t> ReplyOf(uint8_t sender, uint32_t size) {
  std::vector<uint8_t> bytes(5 + size, sender);
  memcpy(bytes.data() + 1, &size, sizeof(size));
  return bytes;
}

OwnedReply Owned(uint8_t sender, uint32_t size) {
  const std::vector<uint8_t> bytes = ReplyOf(sender, size);
  OwnedReply reply{std::unique_ptr<uint8_t[]>(new uint8_t[bytes.size()]), bytes.size(), 1};
  memcpy(reply.bytes.get(), bytes.data(), bytes.size());
  return reply;
}

uint8_t ReadReply(int fd) {
  uint8_t head[5];
  CHECK_EQ(recv(fd, head, sizeof(head), MSG_WAITALL), 5);
  uint32_t size;
  memcpy(&size, head + 1, sizeof(size));
  std::vector<uint8_t> body(size);
  CHECK_EQ(recv(fd, body.data(), size, MSG_WAITALL), size);
  for (const uint8_t byte : body) CHECK_EQ(byte, head[0]);
  return head[0];
}

// The lane's thread in parts, the host by reference, two that give theirs away.
void Whole() {
  constexpr int kEach = 300;
  Listener listener;
  Ends ends(&listener);
  std::thread lane([&] {
    for (int i = 0; i < kEach; i += 1) {
      const std::vector<uint8_t> bytes = ReplyOf('l', 1 + i * 37 % 20000);
      CHECK(ends.writer->Begin());
      CHECK(ends.writer->Send(bytes.data(), 3, true));
      CHECK(ends.writer->Send(bytes.data() + 3, bytes.size() - 3, false));
      ends.writer->End();
    }
  });
  std::thread host([&] {
    uint64_t later = 0;
    for (int i = 0; i < kEach; i += 1) {
      std::vector<uint8_t> bytes = ReplyOf('h', 1 + i * 91 % 30000);
      const iovec parts[] = {{bytes.data(), 1}, {bytes.data() + 1, 0}, {bytes.data() + 1, 4}, {bytes.data() + 5, bytes.size() - 5}};
      if (ends.writer->SendParts(parts, 4)) continue;
      later += 1;
      while (listener.host < later) sched_yield();
    }
    CHECK_EQ(listener.host, later);
  });
  std::thread cold[2];
  for (int each = 0; each < 2; each += 1) {
    cold[each] = std::thread([&, each] {
      for (int i = 0; i < kEach; i += 1) ends.writer->SendOwned(Owned(static_cast<uint8_t>('0' + each), 1 + i * 53 % 10000));
    });
  }
  for (int i = 0; i < 4 * kEach; i += 1) ReadReply(ends.client.get());
  lane.join();
  host.join();
  for (std::thread& thread : cold) thread.join();
  ends.writer->Close();
  CHECK_EQ(listener.owned, 2u * kEach);
}

// Replies leave in the order in which they came, with the drainer alone to send them.
void InOrder() {
  Listener listener;
  Ends ends(&listener);
  for (uint8_t i = 0; i < 100; i += 1) ends.writer->SendOwned(Owned(i, 3000));
  for (uint8_t i = 0; i < 100; i += 1) CHECK_EQ(ReadReply(ends.client.get()), i);
  ends.writer->Close();
  CHECK_EQ(listener.owned, 100u);
}

void Fails() {
  for (int how = 0; how < 3; how += 1) {
    Listener listener;
    Ends ends(&listener);
    std::vector<uint8_t> bytes = ReplyOf('h', 1 << 20);
    const iovec part{bytes.data(), bytes.size()};
    CHECK(!ends.writer->SendParts(&part, 1));
    for (uint8_t i = 0; i < 10; i += 1) ends.writer->SendOwned(Owned(i, 3000));
    // Blocked behind them.
    std::thread lane([&] {
      CHECK(!ends.writer->Begin());
      CHECK(!ends.writer->Send(bytes.data(), bytes.size(), false));
      ends.writer->End();
    });
    if (how == 0) ends.client = Descriptor();
    if (how == 1) ends.writer->Fail();
    if (how == 2) ends.writer->Close();
    lane.join();
    while (listener.host < 1 || listener.owned < 10) sched_yield();
    CHECK(ends.writer->SendParts(&part, 1));
    ends.writer->SendOwned(Owned('x', 10));
    CHECK_EQ(listener.owned, 11u);
    ends.writer->Close();
    CHECK_EQ(listener.host, 1u);
  }
}

// Asked for the end, the writer waits for what was promised, and the connection's failure.
void KeepsPromises() {
  const std::vector<uint8_t> bytes = ReplyOf('l', 100);
  for (int how = 0; how < 3; how += 1) {
    Listener listener;
    Ends ends(&listener);
    CHECK(ends.writer->SendParts(nullptr, 0));
    ends.writer->Promise();
    ends.writer->Promise();
    CHECK(!ends.writer->SendParts(nullptr, 0));
    ends.writer->SendOwned(Owned('o', 10));
    CHECK_EQ(listener.host, 0u);
    if (how < 2) {
      OwnedReply reply = Owned('c', 10);
      reply.promised = true;
      ends.writer->SendOwned(std::move(reply));
      CHECK_EQ(listener.host, 0u);
    }
    if (how == 0) {
      CHECK(ends.writer->Begin());
      CHECK(ends.writer->Send(bytes.data(), bytes.size(), false));
      CHECK_EQ(listener.host, 0u);
      ends.writer->End(true);
      for (const uint8_t sender : {'o', 'c', 'l'}) CHECK_EQ(ReadReply(ends.client.get()), sender);
    } else {
      ends.writer->Fail();
    }
    CHECK_EQ(listener.host, 1u);
    ends.writer->Close();
    CHECK_EQ(listener.host, 1u);
  }
}

// A thread that comes with a reply of its own sends one turn of the backlog. The drainer sends the
// rest, however much the client takes.
void InTurns() {
  for (int turn = 0; turn < 10; turn += 1) {
    Listener listener;
    Ends ends(&listener);
    constexpr uint32_t kEach = 256 << 10, kReplies = 32;
    // The socket takes nothing: the drainer watches it, and each thread that comes tries once.
    for (uint8_t i = 0; i < kReplies; i += 1) ends.writer->SendOwned(Owned(i, kEach));
    CHECK_EQ(listener.owned, 0u);
    const int size = 32 << 20;
    // Room for all of it at once; without the privilege only for some.
    if (setsockopt(ends.writer->fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
      CHECK_EQ(setsockopt(ends.writer->fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    }
    const std::vector<uint8_t> bytes = ReplyOf('h', 10);
    const iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
    const bool sent = ends.writer->SendParts(&part, 1);
    CHECK(listener.by_maker <= ReplyWriter::kTurnBytes / kEach);
    for (uint8_t i = 0; i < kReplies; i += 1) CHECK_EQ(ReadReply(ends.client.get()), i);
    CHECK_EQ(ReadReply(ends.client.get()), 'h');
    while (listener.owned < kReplies || listener.host < (sent ? 0 : 1)) sched_yield();
    ends.writer->Close();
  }
}

}  // namespace

int main() {
  Whole();
  InOrder();
  Fails();
  KeepsPromises();
  InTurns();
}
