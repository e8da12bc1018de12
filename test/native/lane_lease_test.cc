// A lane whose lease passes, is opened again, or is lost: the requests that it begins, and the
// replies that it sends.
#include <algorithm>
#include <functional>
#include <thread>

#include "../../native/core/fast/answer_lease.h"
#include "lane_client.h"

using namespace test;
using copse::AnswerLease;

namespace {

constexpr ReplyMode kModes[] = {ReplyMode::kSimple, ReplyMode::kStructured, ReplyMode::kExtended};
constexpr uint64_t kImageBytes = 8 * kMiB, kLong = 3600ull * 1000000000;

// A source under a lease; what happens within a call is the test's.
class Leased final : public Source {
 public:
  explicit Leased(const std::string& directory) : Source(directory, kImageBytes) { held->Open(kLong); }
  const std::shared_ptr<const AnswerLease>& lease() const override { return shown; }
  Found ReadNow(uint8_t* target, size_t size, uint64_t offset) override {
    const Found found = Source::ReadNow(target, size, offset);
    if (within) within();
    return found;
  }
  Found Plan(uint64_t offset, uint64_t size, copse::ReadPlan* plan) override {
    const Found found = Source::Plan(offset, size, plan);
    if (within) within();
    return found;
  }
  copse::Status Write(const uint8_t* source, size_t size, uint64_t offset) override {
    const copse::Status status = Source::Write(source, size, offset);
    if (within) within();
    return status;
  }

  const std::shared_ptr<AnswerLease> held = std::make_shared<AnswerLease>();
  const std::shared_ptr<const AnswerLease> shown = held;
  std::function<void()> within;
};

std::pair<uint64_t, uint64_t> Block(uint64_t) { return {0, 4096}; }
std::pair<uint64_t, uint64_t> Written(uint64_t) { return {0, 0}; }

std::string Made(const std::string& path) {
  CHECK_EQ(system(("mkdir -p '" + path + "'").c_str()), 0);
  return path;
}

// True if nothing comes for as long as a lane would need for several replies.
bool IsSilent(const Connection& connection) {
  pollfd entry{connection.client.get(), POLLIN, 0};
  return poll(&entry, 1, 20) == 0;
}

void EndsByItself() {
  AnswerLease lease;
  CHECK(!lease.MayAnswer());
  CHECK(!lease.Extend(kLong));
  lease.Open(1000000);
  while (lease.MayAnswer()) sched_yield();
  // Only the host's word opens it again.
  CHECK(!lease.Extend(kLong));
  CHECK(!lease.MayAnswer());
  lease.Open(kLong);
  CHECK(lease.Extend(2 * kLong));
  CHECK(lease.MayAnswer(copse::NowNs() + kLong));
  lease.Close();
  CHECK(!lease.MayAnswer() && !lease.IsLost());
  lease.Free();
  lease.Close();
  CHECK(lease.MayAnswer() && lease.Extend(1));
  CHECK(lease.MayAnswer(copse::NowNs() + kLong));
  lease.Lose();
  lease.Open(kLong);
  lease.Free();
  CHECK(!lease.MayAnswer() && lease.IsLost());
}

void HandsUpWhatComesAfterwards() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, true));
    source->held->Close();
    Bytes sent = RequestOf(mode, kRead, 1, 0, 4096);
    Append(&sent, RequestOf(mode, kRead, 2, 0, kMiB));
    Append(&sent, WriteOf(mode, 3, 0, 4096));
    connection.Write(sent);
    CHECK(connection.TakeUp(sent.size()) == sent);
    CHECK(source->written.empty());
    CHECK_EQ(connection.lane->counters().reads, 0u);
    // The same grant, once the host has found out.
    source->held->Open(kLong);
    connection.Write(WriteOf(mode, 4, 0, 4096));
    CHECK_EQ(ReadReply(connection, Written).cookie, 4u);
    connection.Write(RequestOf(mode, kRead, 5, 0, 4096));
    CHECK_EQ(ReadReply(connection, Block).cookie, 5u);
    source->written.clear();
  }
}

// The process sleeps when all is done but the reply has not left.
void KeepsRepliesThatAreReady() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  for (const ReplyMode mode : kModes) {
    for (const bool write : {true, false}) {
      for (const bool lost : {false, true}) {
        Connection connection(mode);
        source->held->Open(kLong);
        // One lost lease is enough for the last turn.
        const auto again = lost ? std::make_shared<Leased>(Made(directory.path() + std::string(write ? "/w" : "/r") + std::to_string(static_cast<int>(mode)))) : source;
        std::atomic<bool> done{false};
        again->within = [&] {
          again->held->Close();
          done = true;
        };
        CHECK(connection.lane->Grant(again, true));
        connection.Write(write ? WriteOf(mode, 7, 0, 4096) : RequestOf(mode, kRead, 7, 0, 4096));
        while (!done) sched_yield();
        CHECK(IsSilent(connection));
        // Nothing is in use meanwhile: the host may take back what it has granted.
        while (!connection.lane->IsQuiet()) sched_yield();
        CHECK(connection.lane->Grant(nullptr, false) || connection.lane->IsQuiet());
        again->within = nullptr;
        if (lost) {
          again->held->Lose();
          CHECK(connection.ReadAll().empty());
        } else {
          again->held->Open(kLong);
          CHECK_EQ(ReadReply(connection, write ? Written : Block).cookie, 7u);
        }
      }
    }
  }
}

void ColdReadsGoUp() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  source->cold_end = 64 * kKiB;
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, false));
    source->held->Open(kLong);
    source->open = false;
    const uint64_t before = source->colds;
    const Bytes cold = RequestOf(mode, kRead, 7, 0, 4096);
    connection.Write(cold);
    while (source->colds == before) sched_yield();
    source->held->Close();
    source->Open();
    CHECK(connection.TakeUp(cold.size()) == cold);
    CHECK_EQ(connection.lane->counters().cold_reads, 0u);
  }
}

void LargeReads() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  for (const ReplyMode mode : kModes) {
    {
      // Before anything of it has left.
      Connection connection(mode);
      source->held->Open(kLong);
      source->within = [&] { source->held->Close(); };
      CHECK(connection.lane->Grant(source, false));
      const Bytes large = RequestOf(mode, kRead, 1, 0, kMiB);
      connection.Write(large);
      CHECK(connection.TakeUp(large.size()) == large);
      CHECK_EQ(connection.lane->counters().reads, 0u);
      CHECK(IsSilent(connection));
      source->within = nullptr;
    }
    {
      // Half way: the client takes the rest when the lease is open again.
      Connection connection(mode, 1 << 20, {}, 4 << 10);
      source->held->Open(kLong);
      CHECK(connection.lane->Grant(source, false));
      connection.Write(RequestOf(mode, kRead, 2, 0, 4 * kMiB, mode == ReplyMode::kSimple ? 0 : kDontFragment));
      pollfd entry{connection.client.get(), POLLIN, 0};
      CHECK_EQ(poll(&entry, 1, 60000), 1);
      source->held->Close();
      std::thread host([&] { source->held->Open(kLong); });
      const Reply reply = ReadReply(connection, [](uint64_t) { return std::pair(uint64_t{0}, 4 * kMiB); });
      CHECK_EQ(reply.cookie, 2u);
      host.join();
    }
    {
      // And never, when it is lost.
      const auto again = std::make_shared<Leased>(Made(directory.path() + std::string("/l") + std::to_string(static_cast<int>(mode))));
      Connection connection(mode, 1 << 20, {}, 4 << 10);
      CHECK(connection.lane->Grant(again, false));
      connection.Write(RequestOf(mode, kRead, 3, 0, 4 * kMiB, mode == ReplyMode::kSimple ? 0 : kDontFragment));
      pollfd entry{connection.client.get(), POLLIN, 0};
      CHECK_EQ(poll(&entry, 1, 60000), 1);
      again->held->Lose();
      CHECK(connection.ReadAll().size() < 4 * kMiB);
    }
  }
}

// A reply under one lease does not leave under another.
void GrantsUnderAnotherLease() {
  const check::Directory directory;
  const auto one = std::make_shared<Leased>(Made(directory / "one")), two = std::make_shared<Leased>(Made(directory / "two"));
  Connection connection(ReplyMode::kSimple);
  one->within = [&] {
    one->held->Close();
    connection.lane->Grant(two, true);
  };
  connection.lane->Grant(one, true);
  Bytes sent = WriteOf(ReplyMode::kSimple, 1, 0, 4096);
  Append(&sent, WriteOf(ReplyMode::kSimple, 2, 0, 4096));
  connection.Write(sent);
  CHECK(IsSilent(connection));
  one->held->Open(kLong);
  CHECK_EQ(ReadReply(connection, Written).cookie, 1u);
  CHECK_EQ(ReadReply(connection, Written).cookie, 2u);
  CHECK_EQ(one->written.size() + two->written.size(), 2u);
}

void StopsWhileItWaits() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  std::atomic<bool> done{false};
  source->within = [&] {
    source->held->Close();
    done = true;
  };
  Connection connection(ReplyMode::kSimple);
  CHECK(connection.lane->Grant(source, true));
  connection.Write(WriteOf(ReplyMode::kSimple, 1, 0, 4096));
  while (!done) sched_yield();
  connection.lane->Stop();
  CHECK(connection.ReadAll().empty());
}

// The host closes and opens it while a client asks: each request is answered once, or goes up once.
void UnderLoad() {
  const check::Directory directory;
  const auto source = std::make_shared<Leased>(directory.path());
  const ReplyMode mode = ReplyMode::kSimple;
  Connection connection(mode);
  CHECK(connection.lane->Grant(source, true));
  std::atomic<bool> over{false};
  std::thread host([&] {
    while (!over) {
      source->held->Close();
      sched_yield();
      source->held->Open(kLong);
      sched_yield();
    }
    source->held->Open(kLong);
  });
  constexpr uint64_t kRequests = 2000;
  uint64_t answered = 0, up = 0;
  std::thread client([&] {
    for (uint64_t cookie = 1; cookie <= kRequests; cookie += 1) {
      connection.Write(cookie % 2 == 0 ? WriteOf(mode, cookie, 0, 4096) : RequestOf(mode, kRead, cookie, 0, 4096));
    }
    shutdown(connection.client.get(), SHUT_WR);
  });
  std::thread taker([&] {
    const Bytes taken = connection.TakeUp(kRequests * (28 + 4096));
    for (size_t at = 0; at < taken.size(); up += 1) at += Get(&taken[at + 6], 2) == kWrite ? 28 + 4096 : 28;
  });
  while (answered + connection.lane->counters().handed_up < kRequests) {
    pollfd entry{connection.client.get(), POLLIN, 0};
    if (poll(&entry, 1, 10) == 0) continue;
    const Bytes head = connection.Read(16);
    CHECK_EQ(Get(head.data(), 4), 0x67446698u);
    if (Get(&head[8], 8) % 2 == 1) connection.Read(4096);
    answered += 1;
  }
  client.join();
  taker.join();
  over = true;
  host.join();
  CHECK_EQ(answered + up, kRequests);
  CHECK(answered > 0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  const auto run = [&](const char* name, void (*test)()) {
    if (!only.empty() && only != name) return;
    test();
    std::printf("%s\n", name);
    std::fflush(stdout);
  };
#define RUN(test) run(#test, test)
  RUN(EndsByItself);
  RUN(HandsUpWhatComesAfterwards);
  RUN(KeepsRepliesThatAreReady);
  RUN(ColdReadsGoUp);
  RUN(LargeReads);
  RUN(GrantsUnderAnotherLease);
  RUN(StopsWhileItWaits);
  RUN(UnderLoad);
}
