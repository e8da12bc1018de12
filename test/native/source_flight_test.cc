// sendfile gave pages to a socket whose client has not read. No change of their chunks may change
// what the client reads. The test runs on the file system of TMPDIR and, as root, on an XFS of its
// own.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "../../native/core/fast/range_source.h"
#include "source_image.h"

using namespace copse;

namespace {

constexpr uint32_t kChunk = 64 << 10, kCount = 64;
constexpr uint64_t kSize = uint64_t{kChunk} * kCount;

// A client that reads when it is told.
class Client {
 public:
  Client() {
    int both[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
    near_ = Descriptor(both[0]);
    far_ = Descriptor(both[1]);
    const int room = 4 << 20;
    setsockopt(both[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
  }
  bool Send(int fd, uint64_t offset, size_t size) {
    off_t at = static_cast<off_t>(offset);
    return sendfile(near_.get(), fd, &at, size) == static_cast<ssize_t>(size);
  }
  std::vector<uint8_t> Receive(size_t size) {
    std::vector<uint8_t> bytes(size);
    CHECK_EQ(recv(far_.get(), bytes.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return bytes;
  }

 private:
  Descriptor near_, far_;
};

// All chunks stored, and in the page cache as large folios, where the file system has them.
std::shared_ptr<ChunkFile> Filled(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (uint32_t index = 0; index < kCount; index += 1) CHECK(StoreChunk(file, index));
  CHECK(file->Sync().ok());
  posix_fadvise(file->data_fd(), 0, 0, POSIX_FADV_DONTNEED);
  const std::vector<uint8_t> all = ImageBytes(0, kSize);
  CHECK_EQ(pwrite(file->data_fd(), all.data(), all.size(), 0), static_cast<ssize_t>(kSize));
  return file;
}

// Sends a chunk as a lane does: no pin is left, and the client has not read. False where nothing
// may be sent so.
bool SendChunk(const std::shared_ptr<ChunkFile>& file, uint32_t index, Client* client) {
  ImageSource source(file);
  ReadPlan plan;
  const Found found = source.Plan(uint64_t{index} * kChunk, kChunk, &plan);
  if (found == Found::kCold) return false;
  CHECK_EQ(found, Found::kHit);
  CHECK_EQ(plan.parts().size(), 1);
  CHECK(client->Send(plan.parts()[0].fd, plan.parts()[0].offset, kChunk));
  CHECK(plan.Clear());
  return true;
}

std::vector<uint8_t> Chunk(uint32_t index) { return ImageBytes(uint64_t{index} * kChunk, kChunk); }

void Evict(const std::string& directory) {
  const auto file = Filled(directory);
  Client client;
  if (!SendChunk(file, 5, &client)) return;
  CHECK_EQ(EvictChunk(file, 5), 0);
  CHECK_EQ(file->map().state(5), ChunkState::kPresent);
  std::vector<uint8_t> now(kChunk);
  CHECK_EQ(file->ReadNow(now.data(), kChunk, 5 * uint64_t{kChunk}), NowResult::kHit);
  CHECK(now == Chunk(5));
  // A chunk that was never sent goes, even if it lies in the same folio.
  EvictForSure(file, 6);
  EvictForSure(file, 4);
  CHECK(client.Receive(kChunk) == Chunk(5));
  EvictForSure(file, 5);
  CHECK(!file->map().IsSent(5));
  CHECK(StoreChunk(file, 5));
  CHECK(VerifyChunk(file, 5));
}

// This process does not know what an earlier one had sent.
void Reopened(const std::string& directory) {
  Client client;
  if (!SendChunk(Filled(directory), 9, &client)) return;
  const auto file = OpenImage(directory, kSize, kChunk);
  CHECK_EQ(EvictChunk(file, 9), 0);
  CHECK_EQ(file->map().state(9), ChunkState::kPresent);
  CHECK(client.Receive(kChunk) == Chunk(9));
  EvictForSure(file, 9);
}

void Rot(const std::string& directory) {
  const auto file = Filled(directory);
  const uint8_t wrong = static_cast<uint8_t>(ImageByte(7 * uint64_t{kChunk}) + 1);
  CHECK_EQ(pwrite(file->data_fd(), &wrong, 1, 7 * kChunk), 1);
  Client client;
  if (!SendChunk(file, 7, &client)) return;
  CHECK(!VerifyChunk(file, 7));
  CHECK_EQ(file->map().state(7), ChunkState::kAbsent);
  // Wrong where it was when it was sent, and nowhere else.
  std::vector<uint8_t> sent = Chunk(7);
  sent[0] = wrong;
  CHECK(client.Receive(kChunk) == sent);
  // A chunk that could not be punched is stored over.
  CHECK(StoreChunk(file, 7));
  CHECK(VerifyChunk(file, 7));
  CHECK(SendChunk(file, 7, &client));
  CHECK(client.Receive(kChunk) == Chunk(7));
}

void StoredOver(const std::string& directory) {
  const auto file = Filled(directory);
  Client client;
  if (!SendChunk(file, 20, &client)) return;
  CHECK(StoreChunk(file, 20));
  CHECK(client.Receive(kChunk) == Chunk(20));
  CHECK(SendChunk(file, 21, &client));
  StoreZeros(file, 21);
  CHECK_EQ(file->map().state(21), ChunkState::kZero);
  const auto data_from = [&file] { return lseek(file->data_fd(), 21 * off_t{kChunk}, SEEK_DATA); };
  CHECK_EQ(data_from(), 21 * off_t{kChunk});
  CHECK(client.Receive(kChunk) == Chunk(21));
  // Any eviction comes back to its space.
  uint32_t next = 22;
  do {
    EvictForSure(file, next);
    next += 1;
    CHECK(next < kCount);
  } while (data_from() < 22 * off_t{kChunk});
  CHECK(data_from() >= int64_t{next} * kChunk);
  CHECK_EQ(file->map().state(21), ChunkState::kZero);
  CHECK(!ImageSource(file).IsZero(20 * uint64_t{kChunk}, 2 * kChunk));
  CHECK(ImageSource(file).IsZero(21 * uint64_t{kChunk}, kChunk));
}

// True if this kernel and file system show the fault that the tests are about: a punched hole shows
// in bytes that were sent.
bool PunchShows(const std::string& directory) {
  const auto file = Filled(directory);
  Client client;
  if (!SendChunk(file, 5, &client)) return false;
  CHECK(fallocate(file->data_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * kChunk, kChunk) == 0);
  return client.Receive(kChunk) != Chunk(5);
}

void RunAll(const std::string& directory, const char* where) {
  std::string room = directory + "/0";
  auto next = [&room] {
    room.back() = static_cast<char>(room.back() + 1);
    CHECK(mkdir(room.c_str(), 0700) == 0);
    return room;
  };
  std::printf("%s: a punched hole %s in what was sent\n", where, PunchShows(next()) ? "shows" : "does not show");
  Evict(next());
  Reopened(next());
  Rot(next());
  StoredOver(next());
}

bool Shell(const std::string& command) { return system((command + " >/dev/null 2>&1").c_str()) == 0; }

}  // namespace

int main() {
  const check::Directory directory;
  RunAll(directory.path(), "here");
  const std::string mounted = directory / "xfs", image = directory / "image";
  // The least that mkfs.xfs takes is 300 MiB.
  const bool made = geteuid() == 0 && Shell("mkdir " + mounted + " && truncate -s 320M " + image + " && mkfs.xfs -q " + image);
  if (made && Shell("mount -o loop " + image + " " + mounted)) {
    // Gone from here at once if a check fails: the process holds it then, to its end.
    const int hold = open(mounted.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(Shell("umount --lazy " + mounted));
    RunAll("/proc/self/fd/" + std::to_string(hold), "xfs");
    close(hold);
  } else {
    std::printf("no xfs here (package xfsprogs, root, a loop device)\n");
  }
  return 0;
}
