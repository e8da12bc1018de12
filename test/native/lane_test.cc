// A lane between its host and its client: the requests that it answers, those that go up, and its
// end.
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <random>
#include <thread>

#include "../../native/core/fast/cold_read.h"
#include "lane_client.h"

using namespace test;

namespace {

constexpr ReplyMode kModes[] = {ReplyMode::kSimple, ReplyMode::kStructured, ReplyMode::kExtended};
constexpr uint64_t kImageBytes = 8 * kMiB;

std::shared_ptr<Source> MakeSource(const check::Directory& directory, const char* name) {
  const std::string path = directory / name;
  CHECK_EQ(system(("mkdir -p '" + path + "'").c_str()), 0);
  return std::make_shared<Source>(path, kImageBytes);
}

using Ranges = std::map<uint64_t, std::pair<uint64_t, uint64_t>>;

Reply ReadOf(Connection& connection, uint64_t offset, uint64_t size, uint16_t flags = 0) {
  connection.Write(RequestOf(connection.replies, kRead, 42, offset, size, flags));
  const Reply reply = ReadReply(connection, [&](uint64_t) { return std::pair(offset, size); });
  CHECK_EQ(reply.cookie, 42u);
  return reply;
}

// Chunks 4 and 5, and from 32 to 63, are zeros.
bool IsZeroAt(uint64_t offset) {
  const uint64_t chunk = offset / (64 * kKiB);
  return chunk == 4 || chunk == 5 || (chunk >= 32 && chunk < 64);
}

void AnswersReads() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  for (uint32_t index = 0; index < 128; index += 1) {
    if (IsZeroAt(index * 64 * kKiB)) StoreZeros(source->file, index);
  }
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, false));
    const auto read = [&](uint64_t offset, uint64_t size, size_t part_count, uint16_t flags = 0) {
      const Reply reply = ReadOf(connection, offset, size, flags);
      CheckContent(reply, offset, size, IsZeroAt);
      CHECK_EQ(reply.parts.size(), mode == ReplyMode::kSimple ? 1 : part_count);
      return reply;
    };
    read(0, 1, 1);
    read(4096, 4096, 1);
    read(777, 31111, 1);
    read(kImageBytes - 512, 512, 1);
    read(0, 32 * kKiB, 1);
    read(1000, 100000, 1);
    read(0, kMiB, 3);
    read(100, 6 * 64 * kKiB - 100, 2);
    read(kImageBytes / 2 - 5 * kMiB / 2, 5 * kMiB, 3);
    read(0, kImageBytes, 5);
    // All zero: a hole, small and large.
    for (const auto& [offset, size] : {std::pair(4 * 64 * kKiB, 4096ul), std::pair(4 * 64 * kKiB, 64 * kKiB), std::pair(40 * 64 * kKiB, kMiB)}) {
      const Reply reply = read(offset, size, 1);
      CHECK_EQ(reply.parts[0].hole, mode != ReplyMode::kSimple);
    }
    // From data into zeros, below what is split: data.
    CHECK(!read(4 * 64 * kKiB - 4096, 8192, 1).parts[0].hole);
    CHECK(!read(4 * 64 * kKiB - 4096, 64 * kKiB, 1).parts[0].hole);
    if (mode != ReplyMode::kSimple) {
      CHECK(!read(40 * 64 * kKiB, 4096, 1, kDontFragment).parts[0].hole);
      CHECK(!read(40 * 64 * kKiB, kMiB, 1, kDontFragment).parts[0].hole);
      read(0, kImageBytes, 1, kDontFragment);
    }
    const copse::LaneCounters& counters = connection.lane->counters();
    const uint64_t read_count = mode == ReplyMode::kSimple ? 15 : 18;
    CHECK_EQ(counters.reads, read_count);
    uint64_t in_buckets = 0;
    for (const auto& bucket : counters.read_latency) in_buckets += bucket;
    CHECK_EQ(in_buckets, read_count);
    CHECK_EQ(counters.handed_up, 0u);
    CHECK(counters.file_bytes > 0);
    CHECK_EQ(connection.lane->input_size(), 0u);
  }
}

// Each of these is for the host to answer.
void HandsUpTheRest() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->up_from = 64 * kKiB;
  source->up_end = 128 * kKiB;
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    // Nothing is granted at first.
    Bytes expected = RequestOf(mode, kRead, 1, 0, 4096);
    connection.Write(expected);
    CHECK(connection.TakeUp(expected.size()) == expected);
    CHECK(connection.lane->Grant(source, false));
    Bytes sent;
    const auto up = [&](const Bytes& bytes) {
      Append(&sent, bytes);
    };
    up(RequestOf(mode, kRead, 2, 64 * kKiB, 4096));
    up(RequestOf(mode, kRead, 3, 64 * kKiB, 40000));
    up(RequestOf(mode, kRead, 4, 0, 0));
    up(RequestOf(mode, kRead, 5, kImageBytes - 4095, 4096));
    up(RequestOf(mode, kRead, 6, UINT64_MAX - 100, 4096));
    up(RequestOf(mode, kRead, 7, 0, (32 << 20) + 1));
    up(RequestOf(mode, kRead, 8, 0, 4096, 1));
    up(RequestOf(mode, kFlush, 9, 0, 0));
    up(WriteOf(mode, 10, 0, 4096));
    up(RequestOf(mode, 0x7777, 11, 0, 4096));
    connection.Write(sent);
    const Bytes got = connection.TakeUp(sent.size());
    CHECK(got == sent);
    CHECK_EQ(connection.lane->counters().handed_up, 11u);
    CHECK_EQ(connection.lane->counters().reads, 0u);
    // Hits between them are answered all the same.
    connection.Write(RequestOf(mode, kFlush, 9, 0, 0));
    CheckContent(ReadOf(connection, 0, 4096), 0, 4096, [](uint64_t) { return false; });
  }
}

// The same session, cut in two at each byte, and into bytes.
void CutAnywhere() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  for (const ReplyMode mode : kModes) {
    Bytes session, up;
    const auto add = [&](const Bytes& bytes, bool goes_up) {
      Append(&session, bytes);
      if (goes_up) Append(&up, bytes);
    };
    add(RequestOf(mode, kRead, 1, 4096, 100), false);
    add(WriteOf(mode, 2, 0, 33), true);
    add(RequestOf(mode, kRead, 3, 8192, 200), false);
    add(RequestOf(mode, kFlush, 4, 0, 0), true);
    add(RequestOf(mode, kRead, 5, 100000, 40), false);
    add({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33}, true);
    add(RequestOf(mode, kRead, 6, 4096, 100), true);
    const Ranges ranges{{1, {4096, 100}}, {3, {8192, 200}}, {5, {100000, 40}}};
    for (size_t cut = 0; cut <= session.size() + 1; cut += 1) {
      Connection connection(mode, 1 << 20, {}, 0);
      CHECK(connection.lane->Grant(source, false));
      if (cut > session.size()) {
        for (const uint8_t byte : session) connection.Write({byte});
      } else {
        connection.Write(Bytes(session.begin(), session.begin() + cut));
        // So that the lane mostly sees the first part alone.
        sched_yield();
        connection.Write(Bytes(session.begin() + cut, session.end()));
      }
      CHECK_EQ(shutdown(connection.client.get(), SHUT_WR), 0);
      for (const auto& [cookie, range] : ranges) {
        const Reply reply = ReadReply(connection, [&ranges](uint64_t of) { return ranges.at(of); });
        CHECK_EQ(reply.cookie, cookie);
        CheckContent(reply, range.first, range.second, [](uint64_t) { return false; });
      }
      CHECK(connection.TakeUp(up.size() + 1) == up);
      CHECK(connection.up_over);
    }
    // Any part of the stream may have been read before the lane began.
    for (size_t cut = 0; cut <= session.size(); cut += 7) {
      Connection connection(mode, 1 << 20, Bytes(session.begin(), session.begin() + cut));
      connection.lane->Grant(source, false);
      connection.Write(Bytes(session.begin() + cut, session.end()));
      CHECK_EQ(shutdown(connection.client.get(), SHUT_WR), 0);
      // Before the grant everything goes up.
      const Bytes got = connection.TakeUp(session.size() + 1);
      CHECK(connection.up_over);
      CHECK(got.size() >= up.size());
      CHECK(std::equal(up.end() - 33, up.end(), got.end() - 33));
    }
  }
}

void DisconnectGoesUpAfterColdReads() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  source->cold_fails = true;
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, false));
    const Bytes cold = RequestOf(mode, kRead, 7, 0, 4096), disconnect = RequestOf(mode, kDisconnect, 8, 0, 0);
    Bytes sent = cold;
    Append(&sent, disconnect);
    // Behind it nothing is answered.
    Append(&sent, RequestOf(mode, kRead, 9, 128 * kKiB, 4096));
    const uint64_t before = source->colds;
    connection.Write(sent);
    while (source->colds == before) sched_yield();
    CHECK_EQ(connection.lane->input_size(), 0u);
    source->Open();
    CHECK(connection.TakeUp(sent.size()) == sent);
    CHECK_EQ(connection.lane->counters().reads, 0u);
    source->open = false;
  }
  source->Open();
}

void HitsPassColdReads() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 4 * kMiB;
  source->open = false;
  for (const ReplyMode mode : kModes) {
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, false));
    Ranges ranges{{1, {0, 4096}}, {2, {100, 300000}}, {3, {5 * kMiB, 4096}}, {4, {6 * kMiB, 100000}}};
    for (const auto& [cookie, range] : ranges) connection.Write(RequestOf(mode, kRead, cookie, range.first, range.second));
    for (const uint64_t cookie : {3, 4}) {
      const Reply reply = ReadReply(connection, [&](uint64_t of) { return ranges.at(of); });
      CHECK_EQ(reply.cookie, cookie);
    }
    source->Open();
    for (int i = 0; i < 2; i += 1) {
      const Reply reply = ReadReply(connection, [&](uint64_t of) { return ranges.at(of); });
      CheckContent(reply, ranges[reply.cookie].first, ranges[reply.cookie].second, [](uint64_t) { return false; });
      ranges.erase(reply.cookie);
    }
    CHECK_EQ(ranges.size(), 2u);
    CHECK_EQ(connection.lane->counters().cold_reads, 2u);
    source->open = false;
  }
  source->Open();
}

void TooManyColdReadsGoUp() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  Connection connection(ReplyMode::kSimple);
  CHECK(connection.lane->Grant(source, false));
  Bytes sent;
  for (uint64_t i = 0; i < 70; i += 1) Append(&sent, RequestOf(ReplyMode::kSimple, kRead, i + 1, 0, 512));
  connection.Write(sent);
  // 64 wait; the others went up.
  CHECK(connection.TakeUp(6 * 28) == Bytes(sent.end() - 6 * 28, sent.end()));
  source->Open();
  uint64_t sum = 0;
  for (int i = 0; i < 64; i += 1) sum += ReadReply(connection, [](uint64_t) { return std::pair(0, 512); }).cookie;
  CHECK_EQ(sum, 64u * 65 / 2);
  // And there is room again.
  connection.Write(RequestOf(ReplyMode::kSimple, kRead, 99, 0, 512));
  CHECK_EQ(ReadReply(connection, [](uint64_t) { return std::pair(0, 512); }).cookie, 99u);
}

// The bound of all lanes together.
void ColdReadsHaveOneBound() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = kImageBytes;
  const ReplyMode mode = ReplyMode::kSimple;
  const Bytes large = RequestOf(mode, kRead, 1, 0, kImageBytes), small = RequestOf(mode, kRead, 2, 0, 512);
  // A lane that ends gives back what its reads hold, begun or not. So the second turn is like the
  // first.
  for (int turn = 0; turn < 2; turn += 1) {
    source->open = false;
    constexpr size_t kFilling = copse::ColdReads::kMostBytesOfAll / copse::ColdReads::kMostBytes;
    std::vector<std::unique_ptr<Connection>> filling;
    for (size_t i = 0; i < kFilling; i += 1) {
      filling.push_back(std::make_unique<Connection>(mode));
      CHECK(filling.back()->lane->Grant(source, false));
      filling.back()->Write(large);
      filling.back()->Write(large);
      filling.back()->Pass();
      CHECK_EQ(filling.back()->lane->counters().handed_up, 1u);
    }
    Connection another(mode);
    CHECK(another.lane->Grant(source, false));
    another.Write(small);
    CHECK(another.TakeUp(small.size()) == small);
    // Those whose lanes have ended begin nothing; those that have begun wait for the gate.
    for (const auto& connection : filling) connection->lane->Shut();
    source->Open();
    filling.clear();
    another.Write(small);
    CHECK_EQ(ReadReply(another, [](uint64_t) { return std::pair(0, 512); }).cookie, 2u);
  }
}

void ColdReadsThatFailGoUpBetweenRequests() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  source->cold_fails = true;
  const ReplyMode mode = ReplyMode::kExtended;
  Connection connection(mode);
  CHECK(connection.lane->Grant(source, false));
  const Bytes cold = RequestOf(mode, kRead, 7, 0, 4096), write = WriteOf(mode, 8, 0, 5000);
  connection.Write(cold);
  connection.Write(Bytes(write.begin(), write.begin() + 4000));
  CHECK(connection.TakeUp(4000) == Bytes(write.begin(), write.begin() + 4000));
  source->Open();
  while (connection.lane->counters().handed_up < 2) sched_yield();
  // Not into the payload.
  connection.Write(Bytes(write.begin() + 4000, write.end()));
  CHECK(connection.TakeUp(1032) == Bytes(write.begin() + 4000, write.end()));
  CHECK(connection.TakeUp(32) == cold);
}

void WritesWhereItMay() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  for (const ReplyMode mode : kModes) {
    source->written.clear();
    Connection connection(mode);
    CHECK(connection.lane->Grant(source, true));
    std::mt19937 random(7);
    std::vector<std::pair<uint64_t, Bytes>> expected;
    std::thread writer([&] {
      for (uint64_t i = 1; i <= 60; i += 1) {
        const uint64_t size = i % 10 == 0 ? kMiB : 4096 * (1 + random() % 40);
        const Bytes bytes = WriteOf(mode, i, 4096 * i, size);
        expected.push_back({4096 * i, ImageBytes(i * 977, size)});
        // In parts of any size.
        for (size_t at = 0; at < bytes.size();) {
          const size_t part = std::min<size_t>(bytes.size() - at, 1 + random() % (i % 3 == 0 ? 5000 : 300000));
          connection.Write(Bytes(bytes.begin() + at, bytes.begin() + at + part));
          at += part;
        }
      }
    });
    for (uint64_t i = 1; i <= 60; i += 1) {
      const Reply reply = ReadReply(connection, [&](uint64_t cookie) { return std::pair(4096 * cookie, uint64_t{0}); });
      CHECK_EQ(reply.cookie, i);
      CHECK_EQ(reply.none, mode != ReplyMode::kSimple);
    }
    writer.join();
    CHECK(source->written == expected);
    CHECK_EQ(connection.lane->counters().writes, 60u);
    CHECK_EQ(connection.lane->counters().handed_up, 0u);

    // A write that can't be done goes up whole.
    const auto goes_up = [&](const Bytes& bytes) {
      connection.Write(bytes);
      CHECK(connection.TakeUp(bytes.size()) == bytes);
    };
    goes_up(WriteOf(mode, 70, 512, 4096));
    goes_up(WriteOf(mode, 71, 0, 4096, 1));
    goes_up(WriteOf(mode, 72, kImageBytes, 4096));
    goes_up(WriteOf(mode, 73, 0, kMiB + 4096));
    source->write_fails = true;
    goes_up(WriteOf(mode, 74, 0, kMiB));
    source->write_fails = false;
    source->can_write = false;
    goes_up(WriteOf(mode, 75, 0, 300000 / 4096 * 4096));
    source->can_write = true;
    // Revoked while its payload comes.
    const Bytes late = WriteOf(mode, 76, 0, 64 * kKiB);
    connection.Write(Bytes(late.begin(), late.begin() + 30000));
    connection.lane->Grant(source, false);
    connection.Write(Bytes(late.begin() + 30000, late.end()));
    CHECK(connection.TakeUp(late.size()) == late);
    CHECK_EQ(source->written.size(), 60u);
    connection.Pass();
  }
}

// A host that takes nothing: the socket is not read on, and nothing is lost.
void BoundsWhatGoesUp() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  for (const size_t most : {1, 28, 100, 70000}) {
    Connection connection(ReplyMode::kStructured, most);
    CHECK(connection.lane->Grant(source, false));
    Bytes sent;
    for (uint64_t i = 1; i <= 40; i += 1) Append(&sent, WriteOf(ReplyMode::kStructured, i, 0, i * (most > 1000 ? 6013 : 3)));
    std::thread writer([&] { connection.Write(sent); });
    Bytes got;
    while (got.size() < sent.size()) {
      CHECK(connection.lane->input_size() <= most);
      Append(&got, connection.TakeUp(std::min<size_t>(sent.size() - got.size(), 333)));
    }
    writer.join();
    CHECK(got == sent);
    // Blocked for good, and shut.
    std::thread blocked([&] { (void)!send(connection.client.get(), sent.data(), sent.size(), MSG_NOSIGNAL); });
    connection.lane->Shut();
    blocked.join();
    connection.lane->Stop();
    Bytes rest(most);
    bool over = false;
    connection.lane->TakeInput(rest.data(), rest.size(), &over);
    CHECK(over);
  }
}

// A client that reads nothing for a while, with the least of buffers: replies of the host, hits and
// cold reads come whole.
void NeverMixes() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  for (const ReplyMode mode : kModes) {
    Connection connection(mode, 1 << 20, {}, 4096);
    CHECK(connection.lane->Grant(source, false));
    Ranges ranges;
    std::mt19937 random(11);
    uint64_t sent_by_host = 0;
    Bytes requests;
    for (uint64_t i = 1; i <= 300; i += 1) {
      const uint64_t size = i % 7 == 0 ? 40000 + random() % 300000 : 1 + random() % 9000;
      ranges[i] = {i % 5 == 0 ? random() % 50000 : 64 * kKiB + random() % (kImageBytes - kMiB), size};
      Append(&requests, RequestOf(mode, kRead, i, ranges[i].first, ranges[i].second));
    }
    connection.Write(requests);
    std::thread host([&] {
      for (uint64_t i = 1; i <= 100; i += 1) {
        // As the lane answers a write: a cookie, and nothing else.
        Bytes reply;
        const uint64_t cookie = 1000 + i;
        if (mode == ReplyMode::kSimple) {
          Put(&reply, 0x67446698, 4);
          Put(&reply, 0, 4);
          Put(&reply, cookie, 8);
        } else {
          Put(&reply, mode == ReplyMode::kExtended ? 0x6e8a278c : 0x668e33ef, 4);
          Put(&reply, 1, 2);
          Put(&reply, 0, 2);
          Put(&reply, cookie, 8);
          if (mode == ReplyMode::kExtended) Put(&reply, 0, 8);
          Put(&reply, 0, mode == ReplyMode::kExtended ? 8 : 4);
        }
        const iovec parts[2] = {{reply.data(), 5}, {reply.data() + 5, reply.size() - 5}};
        if (connection.lane->Send(parts, 2)) continue;
        sent_by_host += 1;
        connection.host.Await([&] { return connection.host.sents == sent_by_host; });
      }
    });
    size_t from_host = 0;
    std::map<uint64_t, int> seen;
    for (int i = 0; i < 400; i += 1) {
      const Reply reply = ReadReply(connection, [&](uint64_t cookie) { return cookie > 1000 ? std::pair(uint64_t{0}, uint64_t{0}) : ranges.at(cookie); });
      CHECK_EQ(++seen[reply.cookie], 1);
      if (reply.cookie > 1000) {
        from_host += 1;
        // The host's in order.
        CHECK_EQ(reply.cookie, 1000 + from_host);
      } else {
        CheckContent(reply, ranges[reply.cookie].first, ranges[reply.cookie].second, [](uint64_t) { return false; });
      }
    }
    host.join();
    CHECK_EQ(connection.host.sents, sent_by_host);
  }
}

// The socket takes a part of a host's reply. The drainer alone sends the rest.
void DrainsLater() {
  for (int turn = 0; turn < 20; turn += 1) {
    Connection connection(ReplyMode::kSimple, 1 << 20, {}, 4096);
    const Bytes long_reply = ImageBytes(0, 3 * kMiB), short_reply = ImageBytes(0, 100);
    CHECK(!connection.Send(long_reply));
    CHECK(connection.Read(long_reply.size()) == long_reply);
    connection.host.Await([&] { return connection.host.sents == 1; });
    // Free again, or a moment later.
    uint64_t sents = 1;
    if (!connection.Send(short_reply)) {
      sents += 1;
      connection.host.Await([&] { return connection.host.sents == sents; });
    }
    CHECK(connection.Read(short_reply.size()) == short_reply);
    // The client goes, in the middle: the host hears of it.
    CHECK(!connection.Send(long_reply));
    if (turn % 2 == 0) {
      connection.client = copse::Descriptor();
    } else {
      connection.lane->Shut();
    }
    connection.host.Await([&] { return connection.host.sents == sents + 1; });
    CHECK(connection.Send(long_reply));
  }
}

void HalfCloses() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  Connection connection(ReplyMode::kStructured);
  CHECK(connection.lane->Grant(source, false));
  connection.Write(RequestOf(ReplyMode::kStructured, kRead, 1, 0, 4096));
  connection.Write(RequestOf(ReplyMode::kStructured, kRead, 2, kMiB, 4096));
  CHECK_EQ(shutdown(connection.client.get(), SHUT_WR), 0);
  CHECK_EQ(ReadReply(connection, [](uint64_t) { return std::pair(0, 0); }).cookie, 2u);
  source->Open();
  CHECK_EQ(ReadReply(connection, [](uint64_t) { return std::pair(0, 0); }).cookie, 1u);
  CHECK(connection.TakeUp(1).empty());
  CHECK(connection.up_over);
  // The host answers what it has still.
  CHECK(connection.Send(ImageBytes(0, 1000)));
  CHECK(connection.Read(1000) == ImageBytes(0, 1000));
  connection.lane->Shut();
  CHECK(connection.ReadAll().empty());
}

// Revoked while the client does not read: in use until the connection is shut, or the client reads.
void RevokesUnderAStoppedReader() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  for (const bool reads : {true, false}) {
    Connection connection(ReplyMode::kStructured, 1 << 20, {}, 4096);
    CHECK(connection.lane->Grant(source, false));
    connection.Write(RequestOf(ReplyMode::kStructured, kRead, 1, 0, 4 * kMiB));
    connection.Write(RequestOf(ReplyMode::kStructured, kRead, 2, 0, 4096));
    const Bytes start = connection.Read(28);
    CHECK(!connection.lane->Grant(nullptr, false));
    CHECK(!connection.lane->IsQuiet());
    // It is not seen twice in the same state while it still fills the socket, but for a thread that
    // is kept from doing so.
    for (int count = 0; count < 100; count = connection.lane->IsStalled() ? count + 1 : 0) sched_yield();
    if (reads) {
      for (int part = 0; part < 3; part += 1) {
        CHECK(connection.Read(kMiB) == ImageBytes(part * kMiB, kMiB));
        CHECK(!connection.lane->IsStalled());
      }
      CHECK(connection.Read(kMiB) == ImageBytes(3 * kMiB, kMiB));
    } else {
      connection.lane->Shut();
    }
    connection.host.Await([&] { return connection.host.quiets == 1; });
    CHECK(connection.lane->IsQuiet());
    // Nothing was begun after it.
    if (reads) CHECK(connection.TakeUp(28) == RequestOf(ReplyMode::kStructured, kRead, 2, 0, 4096));
    CHECK_EQ(source.use_count(), 1);
  }
}

// The disk is in the way then, whether the client reads or not.
void IsNotStalledByADisk() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  Connection connection(ReplyMode::kSimple, 1 << 20, {}, 4096);
  CHECK(connection.lane->Grant(source, false));
  connection.Write(RequestOf(ReplyMode::kSimple, kRead, 1, 0, 4096));
  while (source->colds == 0) sched_yield();
  // Copied replies that the client does not take hold up no grant.
  for (uint64_t i = 2; i < 100; i += 1) connection.Write(RequestOf(ReplyMode::kSimple, kRead, i, kMiB, 16384));
  while (connection.lane->counters().reads < 1) sched_yield();
  CHECK(!connection.lane->Grant(nullptr, false));
  for (int i = 0; i < 1000; i += 1) {
    CHECK(!connection.lane->IsStalled());
    sched_yield();
  }
  source->Open();
  connection.host.Await([&] { return connection.host.quiets == 1; });
}

void RotWhileSendingShuts() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  Connection connection(ReplyMode::kSimple, 1 << 20, {}, 4096);
  CHECK(connection.lane->Grant(source, false));
  connection.Write(RequestOf(ReplyMode::kSimple, kRead, 1, 0, kMiB));
  connection.Read(16);
  // Behind the lane's back, in the last chunk of those that it sends.
  FILE* const data = fopen((directory / "data").c_str(), "r+");
  CHECK(data != nullptr && fseek(data, kMiB - 5, SEEK_SET) == 0 && fputc(0, data) == 0 && fclose(data) == 0);
  CHECK(!VerifyChunk(source->file, kMiB / (64 * kKiB) - 1));
  connection.ReadAll();
  CHECK(connection.TakeUp(1).empty());
  CHECK(connection.up_over);
  CHECK_EQ(connection.lane->counters().cut_replies, 1u);
}

// Grants and revokes go on while two clients read. After a grant is quiet, no thread touches an
// earlier source.
void GrantsUnderLoad() {
  const check::Directory directory;
  std::shared_ptr<Source> sources[2] = {MakeSource(directory, "a"), MakeSource(directory, "b")};
  for (const auto& source : sources) source->cold_end = 256 * kKiB;
  const ReplyMode mode = ReplyMode::kStructured;
  Connection connection(mode);
  constexpr uint64_t kReads = 3000;
  std::atomic<bool> done{false};
  std::thread client([&] {
    std::mt19937 random(3);
    Ranges ranges;
    uint64_t next = 1, answered = 0;
    while (answered < kReads) {
      while (next <= kReads && next - answered <= 16) {
        ranges[next] = {random() % (4 * kMiB), 1 + random() % (next % 8 == 0 ? 200000 : 8000)};
        connection.Write(RequestOf(mode, kRead, next, ranges[next].first, ranges[next].second));
        next += 1;
      }
      const Reply reply = ReadReply(connection, [&](uint64_t of) { return ranges.at(of); });
      // The host answers without data.
      if (!reply.none) CheckContent(reply, ranges[reply.cookie].first, ranges[reply.cookie].second, [](uint64_t) { return false; });
      answered += 1;
    }
    done = true;
    // Wakes the host.
    connection.Write(RequestOf(mode, kFlush, 77, 0, 0));
  });
  uint64_t turn = 0;
  std::thread granter([&] {
    while (!done) {
      Source* const source = sources[turn % 2].get();
      source->over = false;
      const uint64_t quiets = [&] {
        const std::lock_guard<std::mutex> guard(connection.host.mutex);
        return connection.host.quiets;
      }();
      CHECK(connection.lane->Grant(sources[turn % 2], turn % 3 == 0));
      for (uint64_t i = 0; i < turn % 5; i += 1) sched_yield();
      if (!connection.lane->Grant(nullptr, false)) connection.host.Await([&] { return connection.host.quiets > quiets; });
      CHECK(connection.lane->IsQuiet());
      source->over = true;
      CHECK_EQ(sources[turn % 2].use_count(), 1);
      turn += 1;
    }
  });
  uint64_t sents = 0;
  while (true) {
    const Bytes header = connection.TakeUp(28);
    const uint64_t cookie = Get(header.data() + 8, 8);
    if (cookie == 77 && Get(header.data() + 6, 2) == kFlush) break;
    Bytes reply;
    Put(&reply, 0x668e33ef, 4);
    Put(&reply, 1, 2);
    Put(&reply, 0, 2);
    Put(&reply, cookie, 8);
    Put(&reply, 0, 4);
    if (connection.Send(reply)) continue;
    sents += 1;
    connection.host.Await([&] { return connection.host.sents == sents; });
  }
  granter.join();
  client.join();
}

// A cold read that goes up when the lane was shut, and has told of the end.
void NothingComesBehindTheEnd() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  source->open = false;
  source->cold_fails = true;
  Connection connection(ReplyMode::kExtended);
  CHECK(connection.lane->Grant(source, false));
  connection.Write(RequestOf(ReplyMode::kExtended, kRead, 1, 0, 4096));
  while (source->colds == 0) sched_yield();
  connection.lane->Shut();
  CHECK(connection.TakeUp(1).empty());
  CHECK(connection.up_over);
  source->Open();
  connection.lane->Stop();
  CHECK_EQ(connection.lane->input_size(), 0u);
  CHECK(connection.TakeUp(1).empty());
  CHECK(connection.up_over);
}

// As a node that drains: nothing is granted any more, then everything is sent, then the end. What
// was answered has come by then.
void AnswersLeaveBeforeTheEnd() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_end = 64 * kKiB;
  for (int turn = 0; turn < 1000; turn += 1) {
    Connection connection(ReplyMode::kSimple);
    CHECK(connection.lane->Grant(source, false));
    connection.Write(RequestOf(ReplyMode::kSimple, kRead, 1, turn % 2 == 0 ? 0 : kMiB, 512));
    for (int i = 0; i < turn % 13; i += 1) sched_yield();
    if (!connection.lane->Grant(nullptr, false)) connection.host.Await([&] { return connection.host.quiets == 1; });
    if (!connection.lane->Send(nullptr, 0)) connection.host.Await([&] { return connection.host.sents == 1; });
    connection.lane->Stop();
    CHECK_EQ(connection.ReadAll().size(), connection.lane->counters().reads * (16 + 512));
  }
}

// The caller of Start goes on with the socket.
void LeavesTheSocketWhereItCannotStart() {
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const copse::Descriptor mine(ends[0]), client(ends[1]);
  Lane::Options options{ReplyMode::kSimple};
  // No address space has so much.
  options.stack_bytes = size_t{1} << 60;
  Host host;
  std::shared_ptr<Lane> lane;
  CHECK(Lane::Start(copse::Descriptor(dup(mine.get())), options, nullptr, 0, &host, &lane).error != 0);
  CHECK(lane == nullptr);
  char byte = 'x';
  CHECK_EQ(send(mine.get(), &byte, 1, MSG_NOSIGNAL), 1);
  CHECK_EQ(recv(client.get(), &byte, 1, 0), 1);
  CHECK_EQ(host.inputs + host.sents + host.quiets, 0u);
}

// The first of the process: it takes a thread that sends to all slow clients, with a descriptor of
// its own.
void StartsOnlyWithADrainer() {
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const copse::Descriptor client(ends[1]);
  copse::Descriptor mine(ends[0]), duplicate(dup(mine.get()));
  rlimit before;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // Before it gets narrow: the sanitizer looks at a new object through a pipe.
  Host host;
  std::shared_ptr<Lane> lane;
  const Lane::Options options{ReplyMode::kSimple};
  // No number is free below the first one that is.
  const int free = dup(mine.get());
  close(free);
  const rlimit none{static_cast<rlim_t>(free), before.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int error = Lane::Start(std::move(duplicate), options, nullptr, 0, &host, &lane).error;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK_EQ(error, EMFILE);
  char byte = 'x';
  CHECK_EQ(send(mine.get(), &byte, 1, MSG_NOSIGNAL), 1);
  CHECK_EQ(recv(client.get(), &byte, 1, 0), 1);
  CHECK_EQ(Lane::Start(std::move(mine), options, nullptr, 0, &host, &lane).error, 0);
  lane->Stop();
}

// In any state, by any end.
void EndsFromAnyState() {
  const check::Directory directory;
  const auto source = std::make_shared<Source>(directory.path(), kImageBytes);
  source->cold_from = 4 * kMiB;
  source->cold_end = 5 * kMiB;
  for (int turn = 0; turn < 300; turn += 1) {
    Connection connection(kModes[turn % 3], 64, {}, 4096);
    connection.lane->Grant(source, true);
    const ReplyMode mode = connection.replies;
    // Idle, in a send, in a sendfile, waiting for the host, for a payload, for the disk.
    switch (turn % 7) {
      case 1:
        for (uint64_t i = 1; i < 30; i += 1) connection.Write(RequestOf(mode, kRead, i, 0, 8192));
        break;
      case 2:
        connection.Write(RequestOf(mode, kRead, 1, 0, kMiB));
        break;
      case 3:
        for (uint64_t i = 1; i < 30; i += 1) connection.Write(RequestOf(mode, kFlush, i, 0, 0));
        break;
      case 4:
        connection.Write(Bytes(5000, 0));
        break;
      case 5:
        connection.Write(RequestOf(mode, kWrite, 1, 0, kMiB, mode == ReplyMode::kExtended ? kPayloadLength : 0));
        break;
      case 6:
        for (uint64_t i = 1; i < 30; i += 1) connection.Write(RequestOf(mode, kRead, i, 4 * kMiB, 4096 + i % 2 * 100000));
        break;
    }
    const Bytes more = ImageBytes(0, 100000);
    if (turn % 2 == 0) connection.Send(more);
    switch (turn / 7 % 4) {
      case 0:
        connection.lane->Shut();
        break;
      case 1:
        connection.client = copse::Descriptor();
        break;
      case 2:
        shutdown(connection.client.get(), SHUT_WR);
        break;
      case 3:
        break;
    }
    connection.lane->Stop();
    if (turn % 2 == 0) CHECK(connection.host.sents <= 1);
  }
  CHECK_EQ(source.use_count(), 1);
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
  RUN(StartsOnlyWithADrainer);
  RUN(AnswersReads);
  RUN(HandsUpTheRest);
  RUN(CutAnywhere);
  RUN(DisconnectGoesUpAfterColdReads);
  RUN(HitsPassColdReads);
  RUN(TooManyColdReadsGoUp);
  RUN(ColdReadsHaveOneBound);
  RUN(ColdReadsThatFailGoUpBetweenRequests);
  RUN(WritesWhereItMay);
  RUN(BoundsWhatGoesUp);
  RUN(NeverMixes);
  RUN(DrainsLater);
  RUN(HalfCloses);
  RUN(RevokesUnderAStoppedReader);
  RUN(IsNotStalledByADisk);
  RUN(RotWhileSendingShuts);
  RUN(GrantsUnderLoad);
  RUN(EndsFromAnyState);
  RUN(NothingComesBehindTheEnd);
  RUN(AnswersLeaveBeforeTheEnd);
  RUN(LeavesTheSocketWhereItCannotStart);
}
