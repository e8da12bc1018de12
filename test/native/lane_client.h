// The two ends of a lane under test: its host, and its client at the other end of a socket pair.
// And a source whose answers the test decides.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../../native/core/fast/lane.h"
#include "source_image.h"

namespace test {

using Bytes = std::vector<uint8_t>;
using copse::Found;
using copse::Lane;
using copse::ReplyMode;

constexpr uint64_t kMiB = 1 << 20, kKiB = 1 << 10;
constexpr uint16_t kRead = 0, kWrite = 1, kDisconnect = 2, kFlush = 3, kDontFragment = 4, kPayloadLength = 32;

inline void Put(Bytes* bytes, uint64_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) bytes->push_back(static_cast<uint8_t>(value >> shift));
}

inline uint64_t Get(const uint8_t* at, int width) {
  uint64_t value = 0;
  for (int i = 0; i < width; i += 1) value = value << 8 | at[i];
  return value;
}

inline void Append(Bytes* bytes, const Bytes& more) { bytes->insert(bytes->end(), more.begin(), more.end()); }

inline Bytes RequestOf(ReplyMode replies, uint16_t type, uint64_t cookie, uint64_t offset, uint64_t length, uint16_t flags = 0) {
  const bool extended = replies == ReplyMode::kExtended;
  Bytes bytes;
  Put(&bytes, extended ? 0x21e41c71 : 0x25609513, 4);
  Put(&bytes, flags, 2);
  Put(&bytes, type, 2);
  Put(&bytes, cookie, 8);
  Put(&bytes, offset, 8);
  Put(&bytes, length, extended ? 8 : 4);
  return bytes;
}

// With its payload, which is ImageBytes of the cookie.
inline Bytes WriteOf(ReplyMode replies, uint64_t cookie, uint64_t offset, uint64_t length, uint16_t flags = 0) {
  Bytes bytes = RequestOf(replies, kWrite, cookie, offset, length, flags | (replies == ReplyMode::kExtended ? kPayloadLength : 0));
  Append(&bytes, ImageBytes(cookie * 977, length));
  return bytes;
}

// Called under the mutex of the thread that waits. A hang ends at the time limit of the run.
template <typename Condition>
void Await(std::mutex& mutex, std::condition_variable& changed, Condition condition) {
  std::unique_lock<std::mutex> guard(mutex);
  CHECK(changed.wait_for(guard, std::chrono::seconds(60), condition));
}

class Host final : public copse::LaneHost {
 public:
  void OnInput() override { Count(&inputs); }
  void OnSent() override { Count(&sents); }
  void OnQuiet() override { Count(&quiets); }
  void Await(const std::function<bool()>& condition) { test::Await(mutex, changed, condition); }

  std::mutex mutex;
  std::condition_variable changed;
  uint64_t inputs = 0, sents = 0, quiets = 0;

 private:
  void Count(uint64_t* counter) {
    const std::lock_guard<std::mutex> guard(mutex);
    *counter += 1;
    changed.notify_all();
  }
};

// An image whose chunks (64 KiB) are in the page cache, all present but those that the test made
// zeros. In between the test decides.
class Source : public copse::RangeSource {
 public:
  Source(const std::string& directory, uint64_t size_bytes) : file(OpenImage(directory, size_bytes, 64 << 10)), image(file) {
    for (uint32_t index = 0; index < file->map().count(); index += 1) CHECK(StoreChunk(file, index));
  }
  uint64_t size_bytes() const override { return image.size_bytes(); }
  Found ReadNow(uint8_t* target, size_t size, uint64_t offset) override {
    const InUse use(this);
    if (offset >= up_from && offset < up_end) return Found::kUp;
    if (offset >= cold_from && offset < cold_end) return Found::kCold;
    return image.ReadNow(target, size, offset);
  }
  bool IsZero(uint64_t offset, uint64_t size) const override { return image.IsZero(offset, size); }
  Found Plan(uint64_t offset, uint64_t size, copse::ReadPlan* plan) override {
    const InUse use(this);
    if (offset >= up_from && offset < up_end) return Found::kUp;
    const bool cold = offset >= cold_from && offset < cold_end;
    if (cold && OnPool()) {
      colds.fetch_add(1);
      std::unique_lock<std::mutex> guard(gate_mutex);
      gate.wait(guard, [this] { return open; });
      if (cold_fails) return Found::kUp;
    }
    const Found found = image.Plan(offset, size, plan);
    return found == Found::kHit && cold ? Found::kCold : found;
  }
  bool CanWrite(uint64_t offset, uint64_t size) const override { return can_write; }
  copse::Status Write(const uint8_t* source, size_t size, uint64_t offset) override {
    const InUse use(this);
    if (write_fails) return {EIO, "pwrite"};
    const std::lock_guard<std::mutex> guard(gate_mutex);
    written.push_back({offset, Bytes(source, source + size)});
    return {};
  }
  void Open() {
    const std::lock_guard<std::mutex> guard(gate_mutex);
    open = true;
    gate.notify_all();
  }

  const std::shared_ptr<copse::ChunkFile> file;
  copse::ImageSource image;
  uint64_t up_from = 0, up_end = 0, cold_from = 0, cold_end = 0;
  std::atomic<uint64_t> colds{0};
  bool can_write = true, write_fails = false, cold_fails = false;
  std::mutex gate_mutex;
  std::condition_variable gate;
  bool open = true;
  std::vector<std::pair<uint64_t, Bytes>> written;
  // The granting test says from when on the source may not be used.
  std::atomic<bool> over{false};

 private:
  struct InUse {
    explicit InUse(const Source* source) : source(source) { CHECK(!source->over); }
    ~InUse() { CHECK(!source->over); }
    const Source* source;
  };
  // The lane's own thread never waits here: it asks for large reads whether they are cold.
  static bool OnPool() {
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return std::string(name) != "copse-lane";
  }
};

class Connection {
 public:
  explicit Connection(ReplyMode mode, size_t max_input_bytes = 1 << 20, const Bytes& early = {}, int send_buffer = 0) : replies(mode) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client = copse::Descriptor(ends[1]);
    Lane::Options options{mode};
    options.max_input_bytes = max_input_bytes;
    if (send_buffer > 0) options.send_buffer_bytes = send_buffer;
    CHECK_EQ(Lane::Start(copse::Descriptor(ends[0]), options, early.data(), early.size(), &host, &lane).error, 0);
  }
  ~Connection() { lane->Stop(); }

  void Write(const Bytes& bytes) { CHECK_EQ(send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), bytes.size()); }
  Bytes Read(size_t size) {
    Bytes bytes(size);
    // recv(2) waits even for nothing, so it is not called.
    if (size > 0) CHECK_EQ(recv(client.get(), bytes.data(), size, MSG_WAITALL), size);
    return bytes;
  }
  // Until the end of what the lane sends.
  Bytes ReadAll() {
    Bytes bytes;
    uint8_t part[4096];
    ssize_t count;
    while ((count = recv(client.get(), part, sizeof(part), 0)) > 0) bytes.insert(bytes.end(), part, part + count);
    return bytes;
  }
  // Waits for as much as `size`, or the end.
  Bytes TakeUp(size_t size) {
    copse::kHostThread.Assert();
    Bytes bytes;
    while (bytes.size() < size) {
      uint64_t seen;
      {
        const std::lock_guard<std::mutex> guard(host.mutex);
        seen = host.inputs;
      }
      Bytes part(size - bytes.size());
      bool over = false;
      part.resize(lane->TakeInput(part.data(), part.size(), &over));
      Append(&bytes, part);
      up_over = over;
      if (over) break;
      if (part.empty()) host.Await([this, seen] { return host.inputs > seen; });
    }
    return bytes;
  }
  // That all bytes before this one were handled: a request that must go up.
  void Pass() {
    const Bytes flush = RequestOf(replies, kFlush, 0xf1, 0, 0);
    Write(flush);
    CHECK(TakeUp(flush.size()) == flush);
  }
  bool Send(const Bytes& bytes) {
    copse::kHostThread.Assert();
    const iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
    return lane->Send(&part, 1);
  }

  const ReplyMode replies;
  Host host;
  copse::Descriptor client;
  std::shared_ptr<Lane> lane;
  bool up_over = false;
};

// A reply that was read: every chunk of it.
struct Reply {
  uint64_t cookie = 0;
  uint32_t error = 0;
  bool none = false;
  struct Part {
    uint64_t offset;
    uint64_t size;
    bool hole;
    Bytes data;
  };
  std::vector<Part> parts;
};

// `length_of`: what a simple reply with this cookie carries.
inline Reply ReadReply(Connection& connection, const std::function<std::pair<uint64_t, uint64_t>(uint64_t)>& range_of) {
  Reply reply;
  if (connection.replies == ReplyMode::kSimple) {
    const Bytes header = connection.Read(16);
    CHECK_EQ(Get(header.data(), 4), 0x67446698u);
    reply.error = static_cast<uint32_t>(Get(header.data() + 4, 4));
    reply.cookie = Get(header.data() + 8, 8);
    const auto [offset, size] = range_of(reply.cookie);
    if (size > 0 && reply.error == 0) reply.parts.push_back({offset, size, false, connection.Read(size)});
    return reply;
  }
  const bool extended = connection.replies == ReplyMode::kExtended;
  for (bool done = false; !done;) {
    const Bytes header = connection.Read(extended ? 32 : 20);
    CHECK_EQ(Get(header.data(), 4), extended ? 0x6e8a278cu : 0x668e33efu);
    done = Get(header.data() + 4, 2) == 1;
    const uint64_t type = Get(header.data() + 6, 2), cookie = Get(header.data() + 8, 8);
    const uint64_t size = extended ? Get(header.data() + 24, 8) : Get(header.data() + 16, 4);
    CHECK(reply.cookie == 0 || reply.cookie == cookie);
    reply.cookie = cookie;
    if (extended) CHECK_EQ(Get(header.data() + 16, 8), range_of(cookie).first);
    const Bytes start = connection.Read(type == 0 ? 0 : 8);
    if (type == 0) {
      CHECK_EQ(size, 0u);
      reply.none = true;
    } else if (type == 2) {
      CHECK_EQ(size, 12u);
      reply.parts.push_back({Get(start.data(), 8), Get(connection.Read(4).data(), 4), true, {}});
    } else {
      CHECK_EQ(type, 1u);
      reply.parts.push_back({Get(start.data(), 8), size - 8, false, connection.Read(size - 8)});
    }
  }
  return reply;
}

// Checks that the reply says, in order and without gaps, what the image has there. Holes are right
// where `is_zero`.
inline void CheckContent(const Reply& reply, uint64_t offset, uint64_t size, const std::function<bool(uint64_t)>& is_zero) {
  uint64_t at = offset;
  for (const Reply::Part& part : reply.parts) {
    CHECK_EQ(part.offset, at);
    for (uint64_t i = 0; i < part.size; i += 1) {
      const uint8_t expected = is_zero(at + i) ? 0 : ImageByte(at + i);
      if ((part.hole ? 0 : part.data[i]) != expected) CHECK_EQ(at + i, offset + size);
    }
    at += part.size;
  }
  CHECK_EQ(at, offset + size);
}

}  // namespace test
