// Many threads read, send and copy while chunks are stored, evicted and verified, and blocks
// written, trimmed and flushed. Each gets right bytes or none.
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "../../native/core/fast/range_source.h"
#include "source_image.h"

using namespace copse;

namespace {

constexpr uint32_t kChunk = 16384, kCount = 24;
constexpr uint64_t kSize = uint64_t{kChunk} * kCount - 3000, kDisk = uint64_t{kChunk} * kCount;
constexpr size_t kMostBytes = 3 * kChunk;
constexpr int kRounds = 400;

class Chance {
 public:
  explicit Chance(uint32_t seed) : seed_(seed * 2654435761u + 1) {}
  uint64_t Below(uint64_t limit) {
    seed_ = seed_ * 1664525u + 1013904223u;
    return (seed_ >> 8) % limit;
  }

 private:
  uint32_t seed_;
};

// Every third chunk is zeros.
bool IsZeroChunk(uint64_t index) { return index % 3 == 1; }
uint8_t BaseByte(uint64_t offset) { return offset >= kSize || IsZeroChunk(offset / kChunk) ? 0 : ImageByte(offset); }
// The bytes that are written over the image: always the same, and never those below.
uint8_t OverByte(uint64_t offset) { return static_cast<uint8_t>(BaseByte(offset) ^ 0xff); }

using ByteCheck = bool (*)(uint64_t offset, uint8_t byte);

void CheckBytes(const std::vector<uint8_t>& bytes, uint64_t offset, size_t size, ByteCheck right) {
  for (size_t i = 0; i < size; i += 1) {
    if (right(offset + i, bytes[i])) continue;
    check::Fail(__FILE__, __LINE__, "wrong byte " + std::to_string(bytes[i]) + " at " + std::to_string(offset + i));
  }
}

struct Tally {
  std::atomic<int> hits{0}, sends{0}, cold{0}, up{0}, evicted{0}, kept{0};
};

// One reader. The socket of what it sent is read only after the pins are gone, and the others have
// had their turn.
void ReadOn(RangeSource* source, uint32_t seed, ByteCheck right, const std::atomic<bool>* ended, Tally* tally) {
  Chance chance(seed);
  std::vector<uint8_t> bytes(kMostBytes);
  ReadPlan plan;
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const Descriptor near(ends[0]), far(ends[1]);
  while (!*ended) {
    const size_t size = 1 + chance.Below(kMostBytes - 1);
    const uint64_t offset = chance.Below(source->size_bytes() - size);
    if (chance.Below(2) == 0) {
      if (source->ReadNow(bytes.data(), size, offset) == Found::kHit) {
        tally->hits += 1;
        CheckBytes(bytes, offset, size, right);
      }
      continue;
    }
    const Found found = source->Plan(offset, size, &plan);
    if (found == Found::kUp) {
      tally->up += 1;
      continue;
    }
    size_t at = 0;
    bool sent = found == Found::kHit;
    for (const ReadPlan::Part& part : plan.parts()) {
      CHECK(at + part.size <= size);
      if (part.fd < 0) {
        memset(bytes.data() + at, 0, part.size);
      } else if (found == Found::kCold) {
        CHECK_EQ(pread(part.fd, bytes.data() + at, part.size, static_cast<off_t>(part.offset)), static_cast<ssize_t>(part.size));
      }
      at += part.size;
    }
    CHECK_EQ(at, size);
    // The parts that fit into the socket; the others are left out.
    std::vector<std::pair<size_t, size_t>> queued;
    at = 0;
    for (const ReadPlan::Part& part : plan.parts()) {
      off_t from = static_cast<off_t>(part.offset);
      const ssize_t count = sent && part.fd >= 0 ? sendfile(near.get(), part.fd, &from, std::min<size_t>(part.size, 65536)) : 0;
      CHECK(count >= 0);
      if (count > 0) queued.push_back({at, static_cast<size_t>(count)});
      at += part.size;
      if (queued.size() == 2) break;
    }
    CHECK(plan.Clear());
    if (!sent) {
      tally->cold += 1;
      CheckBytes(bytes, offset, size, right);
      continue;
    }
    tally->sends += 1;
    if (chance.Below(4) == 0) std::this_thread::yield();
    for (const auto& [where, count] : queued) {
      std::vector<uint8_t> received(count);
      CHECK_EQ(recv(far.get(), received.data(), count, MSG_WAITALL), static_cast<ssize_t>(count));
      CheckBytes(received, offset + where, count, right);
    }
  }
}

void Change(const std::shared_ptr<ChunkFile>& file, uint32_t seed, Tally* tally) {
  Chance chance(seed);
  for (int round = 0; round < kRounds; round += 1) {
    const uint32_t index = static_cast<uint32_t>(chance.Below(kCount));
    TakenChunks taken(file);
    switch (chance.Below(4)) {
      case 0:
        CHECK(VerifyChunk(file, index));
        break;
      case 1: {
        const bool there = file->map().state(index) != ChunkState::kAbsent;
        const uint64_t freed = EvictChunk(file, index);
        (freed > 0 ? tally->evicted : tally->kept) += there;
        break;
      }
      default:
        if (!IsZeroChunk(index)) {
          StoreChunk(file, index);
        } else if (file->TakeForStore(index, 1, &taken).ok()) {
          CHECK(file->StoreZero(taken).ok());
        }
    }
    if (round % 16 == 0) file->map().SetMark(index, chance.Below(2) == 0);
  }
  for (uint32_t index = 0; index < kCount; index += 1) file->map().SetMark(index, false);
}

std::shared_ptr<ChunkFile> Filled(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (uint32_t index = 0; index < kCount; index += 1) {
    if (IsZeroChunk(index)) {
      StoreZeros(file, index);
    } else {
      StoreChunk(file, index);
    }
  }
  return file;
}

// Nothing is left of all the readers: every chunk can go.
void CheckIdle(const std::shared_ptr<ChunkFile>& file) {
  for (uint32_t index = 0; index < kCount; index += 1) {
    CHECK_EQ(file->map().PinCount(index), 0);
    CHECK(VerifyChunk(file, index));
    EvictForSure(file, index);
  }
  CHECK_EQ(file->map().data_bytes() + file->map().zero_bytes(), 0);
}

void Image() {
  const check::Directory directory;
  const auto file = Filled(directory.path());
  ImageSource source(file);
  Tally tally;
  std::atomic<bool> ended{false};
  std::vector<std::thread> readers, changers;
  const ByteCheck right = [](uint64_t offset, uint8_t byte) { return byte == BaseByte(offset); };
  for (uint32_t seed = 1; seed <= 4; seed += 1) readers.emplace_back(ReadOn, &source, seed, right, &ended, &tally);
  for (uint32_t seed = 11; seed <= 12; seed += 1) changers.emplace_back(Change, file, seed, &tally);
  for (std::thread& thread : changers) thread.join();
  ended = true;
  for (std::thread& thread : readers) thread.join();
  std::printf("image: %d hits, %d sent, %d cold, %d up, %d evicted, %d kept\n", tally.hits.load(), tally.sends.load(), tally.cold.load(), tally.up.load(),
              tally.evicted.load(), tally.kept.load());
  CHECK(tally.hits + tally.sends + tally.cold > 0);
  CHECK(tally.evicted > 0);
  CheckIdle(file);
}

void Disk() {
  const check::Directory directory;
  const auto file = Filled(directory.path());
  std::shared_ptr<OverlayFile> overlay;
  const char* failed = "";
  const OverlayLayout layout{kDisk, 4096, 7};
  CHECK(OverlayFile::Open((directory / "disk").c_str(), (directory / "blocks").c_str(), layout, &overlay, &failed).ok());
  DiskSource source(overlay, file);
  Tally tally;
  std::atomic<bool> ended{false};
  std::vector<std::thread> readers, changers;
  const ByteCheck right = [](uint64_t offset, uint8_t byte) { return byte == BaseByte(offset) || byte == OverByte(offset) || byte == 0; };
  for (uint32_t seed = 21; seed <= 23; seed += 1) readers.emplace_back(ReadOn, &source, seed, right, &ended, &tally);
  changers.emplace_back(Change, file, 31, &tally);
  changers.emplace_back([&source, &overlay] {
    Chance chance(41);
    std::vector<uint8_t> bytes(4 * 4096), back(bytes.size());
    for (int round = 0; round < kRounds; round += 1) {
      const uint64_t offset = chance.Below(kDisk / 4096 - 4) * 4096, size = (1 + chance.Below(4)) * 4096;
      switch (chance.Below(4)) {
        case 0:
          CHECK(overlay->Trim(offset, size).ok());
          CHECK(source.IsZero(offset, size));
          break;
        case 1:
          if (round % 8 == 0) CHECK(overlay->Flush().ok());
          break;
        default:
          for (uint64_t i = 0; i < size; i += 1) bytes[i] = OverByte(offset + i);
          CHECK(source.Write(bytes.data(), size, offset).ok());
          // The writing thread sees its own bytes; it alone writes here.
          const Found found = source.ReadNow(back.data(), size, offset);
          CHECK(found != Found::kUp);
          if (found == Found::kHit) CHECK(memcmp(back.data(), bytes.data(), size) == 0);
      }
    }
  });
  for (std::thread& thread : changers) thread.join();
  ended = true;
  for (std::thread& thread : readers) thread.join();
  std::printf("disk: %d hits, %d sent, %d cold, %d up\n", tally.hits.load(), tally.sends.load(), tally.cold.load(), tally.up.load());
  CHECK(tally.hits + tally.sends + tally.cold > 0);
  CheckIdle(file);
}

// Bits that are set and cleared by some while others pin, publish and sweep: none is lost, and what
// is counted is there.
void Bits() {
  ChunkMap map;
  constexpr uint32_t kChunks = 64;
  CHECK(map.Allocate(kChunks, 4096, 4096));
  std::vector<std::thread> threads;
  for (uint32_t seed = 1; seed <= 4; seed += 1) {
    threads.emplace_back([&map, seed] {
      Chance chance(seed);
      std::vector<uint32_t> found;
      for (int round = 0; round < 20000; round += 1) {
        const uint32_t index = static_cast<uint32_t>(chance.Below(kChunks / 2)) * 2 + (round & 1);
        ChunkState before;
        switch (chance.Below(5)) {
          case 0:
            if (map.TakeForStore(index, &before)) map.Publish(index, chance.Below(2) == 0 ? ChunkState::kPresent : ChunkState::kZero);
            break;
          case 1:
            if (!map.TakeForEvict(index, &before)) break;
            if (chance.Below(2) == 0) map.ClearSent(index);
            map.Publish(index, ChunkState::kAbsent);
            break;
          case 2:
            found.clear();
            map.Sweep(index, 8, 8, &found);
            break;
          default:
            if (map.TryPin(index, Reader::kLane) != Pin::kPinned) break;
            map.SetSent(index);
            CHECK(map.IsSent(index));
            CHECK(map.IsTouched(index));
            map.Unpin(index);
        }
      }
    });
  }
  // One thread alone marks: what it set is what it finds.
  threads.emplace_back([&map] {
    for (int round = 0; round < 20000; round += 1) {
      const uint32_t index = static_cast<uint32_t>(round) % kChunks;
      map.SetMark(index, true);
      CHECK(!map.IsReadable(index, Reader::kLane));
      const Pin pin = map.TryPin(index, Reader::kLane);
      CHECK(pin == Pin::kMarked);
      map.SetMark(index, false);
    }
  });
  for (std::thread& thread : threads) thread.join();
  uint32_t touched = 0;
  for (uint32_t index = 0; index < kChunks; index += 1) {
    touched += map.IsTouched(index);
    CHECK_EQ(map.PinCount(index), 0);
    CHECK(!map.IsBusy(index));
  }
  CHECK(touched > 0);
  CHECK_EQ(map.touched_count(), touched);
}

}  // namespace

int main() {
  Bits();
  Image();
  Disk();
  return 0;
}
