// The plans of the sources: their parts and files, and the ranges that they refuse.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <initializer_list>

#include "../../native/core/fast/range_source.h"
#include "source_image.h"

using namespace copse;

namespace {

constexpr uint32_t kChunk = 16384;
// Ten chunks and a short one, which ends inside a page.
constexpr uint64_t kSize = 10 * kChunk + 5000;

bool MayBeHit(const std::shared_ptr<ChunkFile>& file) { return file->IsResident(0, 1); }

void CheckParts(const ReadPlan& plan, std::initializer_list<ReadPlan::Part> wanted) {
  CHECK_EQ(plan.parts().size(), wanted.size());
  size_t i = 0;
  for (const ReadPlan::Part& part : wanted) {
    CHECK_EQ(plan.parts()[i].fd, part.fd);
    if (part.fd >= 0) CHECK_EQ(plan.parts()[i].offset, part.offset);
    CHECK_EQ(plan.parts()[i].size, part.size);
    i += 1;
  }
}

void Image(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (const uint32_t index : {0, 1, 3, 10}) CHECK(StoreChunk(file, index));
  StoreZeros(file, 2);
  ImageSource source(file);
  const Found best = MayBeHit(file) ? Found::kHit : Found::kCold;
  const int fd = file->data_fd();
  ReadPlan plan;
  CHECK_EQ(source.size_bytes(), kSize);
  CHECK_EQ(source.Plan(100, 4 * kChunk - 200, &plan), best);
  CheckParts(plan, {{fd, 100, 2 * kChunk - 100}, {-1, 0, kChunk}, {fd, 3 * kChunk, kChunk - 100}});
  CHECK_EQ(file->map().PinCount(0), 1);
  CHECK_EQ(file->map().PinCount(2), 0);
  CHECK_EQ(EvictChunk(file, 3), 0);
  CHECK_EQ(file->map().IsSent(0), best == Found::kHit);
  CHECK(plan.Clear());
  CHECK_EQ(plan.parts().size(), 0);
  for (const uint32_t index : {0, 1, 3}) CHECK_EQ(file->map().PinCount(index), 0);
  CHECK_EQ(file->map().touched_count(), 4);
  CHECK(!file->map().IsTouched(10));

  // Absent at the end, in the middle, at the beginning: nothing is pinned, used or touched for
  // that.
  for (const uint64_t offset : {3 * uint64_t{kChunk}, 9 * uint64_t{kChunk}, 4 * uint64_t{kChunk}}) {
    CHECK_EQ(source.Plan(offset, kChunk + 1, &plan), Found::kUp);
    CHECK_EQ(plan.parts().size(), 0);
  }
  CHECK_EQ(file->map().PinCount(3), 0);
  CHECK_EQ(file->map().touched_count(), 4);
  std::vector<uint8_t> bytes(4 * kChunk);
  CHECK_EQ(source.ReadNow(bytes.data(), kChunk + 1, 3 * kChunk), Found::kUp);
  CHECK_EQ(source.Plan(kSize - 1, 1, &plan), best);
  CHECK(plan.Clear());

  if (best == Found::kHit) {
    CHECK_EQ(source.ReadNow(bytes.data(), 4 * kChunk - 7, 5), Found::kHit);
    std::vector<uint8_t> wanted = ImageBytes(5, 4 * kChunk - 7);
    memset(wanted.data() + 2 * kChunk - 5, 0, kChunk);
    CHECK(memcmp(bytes.data(), wanted.data(), wanted.size()) == 0);
    CHECK(file->IsResident(kSize - 1, 1));
    CHECK(!file->IsResident(kSize + 4096, 1));
  }
  CHECK(source.IsZero(2 * kChunk, kChunk));
  CHECK(!source.IsZero(2 * kChunk - 1, 2));
}

void Marks(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (const uint32_t index : {0, 1}) CHECK(StoreChunk(file, index));
  StoreZeros(file, 2);
  ImageSource source(file);
  std::vector<uint8_t> bytes(3 * kChunk);
  ReadPlan plan;
  for (const uint32_t index : {1, 2}) {
    file->map().SetMark(index, true);
    CHECK_EQ(source.ReadNow(bytes.data(), 1, index * uint64_t{kChunk}), Found::kUp);
    CHECK_EQ(source.ReadNow(bytes.data(), 3 * kChunk, 0), Found::kUp);
    CHECK_EQ(source.Plan(0, 3 * kChunk, &plan), Found::kUp);
    CHECK(source.Plan(0, kChunk, &plan) != Found::kUp);
    CHECK(plan.Clear());
    // The host reads it, and says when it is enough.
    CHECK(file->ReadNow(bytes.data(), 1, index * uint64_t{kChunk}) != NowResult::kAbsent);
    file->map().SetMark(index, false);
    CHECK(source.Plan(0, 3 * kChunk, &plan) != Found::kUp);
    CHECK(plan.Clear());
  }
  // Marks and touches outlive what becomes of the chunk.
  file->map().SetMark(1, true);
  EvictChunk(file, 1);
  CHECK(StoreChunk(file, 1));
  CHECK(file->map().IsTouched(1));
  CHECK_EQ(source.Plan(kChunk, 1, &plan), Found::kUp);
}

void Touches(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (const uint32_t index : {0, 1, 3}) CHECK(StoreChunk(file, index));
  StoreZeros(file, 2);
  uint8_t byte;
  ChunkMap& map = file->map();
  // Peers and the host itself touch nothing.
  for (uint64_t index = 0; index < 4; index += 1) file->ReadNow(&byte, 1, index * kChunk);
  CHECK_EQ(map.touched_count(), 0);
  file->ReadNow(&byte, 1, 0, Reader::kGuest);
  file->ReadNow(&byte, 1, 2 * kChunk, Reader::kGuest);
  ImageSource(file).ReadNow(&byte, 1, 2 * kChunk);
  ImageSource(file).ReadNow(&byte, 1, 3 * kChunk);
  CHECK_EQ(map.touched_count(), 3);
  map.Touch(3);
  map.Touch(9);
  CHECK_EQ(map.touched_count(), 4);
  for (const uint32_t index : {0, 2, 3, 9}) CHECK(map.IsTouched(index));
  CHECK(!map.IsTouched(1));
}

// Pages that are not there: cold, and cold reads are not sent, so nothing keeps the chunk.
void Cold(const std::string& directory) {
  const auto file = OpenImage(directory, kSize, kChunk);
  for (const uint32_t index : {0, 1}) CHECK(StoreChunk(file, index));
  if (!MayBeHit(file)) return;
  CHECK(file->Sync().ok());
  posix_fadvise(file->data_fd(), 4096, 4096, POSIX_FADV_DONTNEED);
  // With the rest of its folio; and not while the kernel itself looks at it.
  while (file->IsResident(4096, 4096)) {
    posix_fadvise(file->data_fd(), 0, 0, POSIX_FADV_DONTNEED);
    sched_yield();
  }
  ImageSource source(file);
  ReadPlan plan;
  std::vector<uint8_t> bytes(kChunk);
  CHECK(!file->IsResident(4096 + 100, 10));
  CHECK_EQ(source.Plan(0, 2 * kChunk, &plan), Found::kCold);
  CheckParts(plan, {{file->data_fd(), 0, 2 * kChunk}});
  CHECK(!file->map().IsSent(0));
  CHECK_EQ(pread(file->data_fd(), bytes.data(), kChunk, 0), static_cast<ssize_t>(kChunk));
  CHECK(bytes == ImageBytes(0, kChunk));
  CHECK(plan.Clear());
  CHECK(file->IsResident(4096 + 100, 10));
}

std::shared_ptr<OverlayFile> OpenOverlay(const std::string& directory, uint64_t size_bytes) {
  std::shared_ptr<OverlayFile> file;
  const char* failed = "";
  const OverlayLayout layout{size_bytes, 4096, 7};
  CHECK_EQ(OverlayFile::Open((directory + "/disk").c_str(), (directory + "/blocks").c_str(), layout, &file, &failed).error, 0);
  return file;
}

void Disk(const std::string& directory) {
  const auto image = OpenImage(directory, kSize, kChunk);
  for (uint32_t index = 0; index < 11; index += 1) {
    if (index != 6) CHECK(StoreChunk(image, index));
  }
  constexpr uint64_t kDisk = 64 * 4096;
  const auto overlay = OpenOverlay(directory, kDisk);
  DiskSource disk(overlay, image);
  std::vector<uint8_t> wanted(kDisk), bytes(kDisk);
  memcpy(wanted.data(), ImageBytes(0, kSize).data(), kSize);

  const std::vector<uint8_t> written(2 * 4096, 0xfe);
  CHECK(disk.CanWrite(4096, 8192));
  CHECK(!disk.CanWrite(4096, 8191));
  CHECK(!disk.CanWrite(4095, 4096));
  for (const uint64_t offset : {uint64_t{4096}, uint64_t{10} * kChunk + 8192, kDisk - 8192}) {
    CHECK(disk.Write(written.data(), written.size(), offset).ok());
    memcpy(wanted.data() + offset, written.data(), written.size());
  }
  CHECK(overlay->Trim(5 * kChunk, 8192).ok());
  memset(wanted.data() + 5 * kChunk, 0, 8192);

  const Found best = MayBeHit(image) ? Found::kHit : Found::kCold;
  const int over = overlay->data_fd(), under = image->data_fd();
  ReadPlan plan;
  CHECK_EQ(disk.Plan(100, 5 * kChunk, &plan), best);
  CheckParts(plan, {{under, 100, 4096 - 100}, {over, 4096, 8192}, {under, 12288, 5 * kChunk - 12288}, {-1, 0, 100}});
  CHECK(plan.Clear());
  // Beyond the image's end: the rest of its last block, then blocks that nobody wrote.
  CHECK_EQ(disk.Plan(10 * kChunk, kDisk - 10 * kChunk, &plan), best);
  CheckParts(plan, {{under, 10 * kChunk, 5000}, {-1, 0, 8192 - 5000}, {over, 10 * kChunk + 8192, 8192}, {-1, 0, kDisk - 8192 - 11 * kChunk}, {over, kDisk - 8192, 8192}});
  for (uint32_t index = 0; index < 10; index += 1) CHECK_EQ(image->map().PinCount(index), 0);
  CHECK_EQ(image->map().PinCount(10), 1);
  ReadPlan moved(std::move(plan));
  CHECK(moved.Clear());
  CHECK_EQ(image->map().PinCount(10), 0);
  CHECK(plan.Clear());

  const std::pair<uint64_t, uint64_t> ranges[] = {{0, 6 * kChunk}, {7 * kChunk, kDisk - 7 * kChunk}, {100, 4096}, {4096, 1}, {kSize - 1, 2}, {kSize, 100}, {kDisk - 9000, 9000}};
  for (const auto& [offset, size] : ranges) {
    memset(bytes.data(), 0xee, bytes.size());
    if (best != Found::kHit) break;
    CHECK_EQ(disk.ReadNow(bytes.data(), size, offset), Found::kHit);
    CHECK(memcmp(bytes.data(), wanted.data() + offset, size) == 0);
  }
  // Chunk 6 is absent, but what was written over it is not.
  CHECK_EQ(disk.ReadNow(bytes.data(), kChunk, 6 * kChunk), Found::kUp);
  CHECK_EQ(disk.Plan(5 * kChunk, 2 * kChunk, &plan), Found::kUp);
  CHECK_EQ(image->map().PinCount(5), 0);
  for (uint64_t at = 0; at < kChunk; at += 8192) CHECK(disk.Write(written.data(), 8192, 6 * kChunk + at).ok());
  CHECK_EQ(disk.Plan(6 * kChunk, kChunk, &plan), best);
  CheckParts(plan, {{over, 6 * kChunk, kChunk}});
  CHECK(plan.Clear());

  CHECK(disk.IsZero(5 * kChunk, 8192));
  CHECK(disk.IsZero(kSize + 12000, 1));
  CHECK(!disk.IsZero(5 * kChunk, 8193));
  CHECK(!disk.IsZero(kSize - 1, 2));

  // Remote blocks, and a marked chunk below.
  image->map().SetMark(8, true);
  CHECK_EQ(disk.ReadNow(bytes.data(), 1, 8 * kChunk), Found::kUp);
  CHECK_EQ(disk.Plan(7 * kChunk, 3 * kChunk, &plan), Found::kUp);
}

void Remote(const std::string& directory) {
  std::vector<uint8_t> states(8, 0);
  states[2] = static_cast<uint8_t>(BlockState::kRemote) | 1 << 3;
  const OverlayLayout layout{8 * 4096, 4096, 7};
  CHECK(WriteOverlayMap((directory + "/blocks").c_str(), layout, nullptr, 0, states.data(), 8).ok());
  const auto overlay = OpenOverlay(directory, 8 * 4096);
  // Over nothing.
  DiskSource disk(overlay, nullptr);
  ReadPlan plan;
  uint8_t bytes[8192];
  CHECK_EQ(disk.Plan(0, 8192, &plan), Found::kHit);
  CheckParts(plan, {{-1, 0, 8192}});
  CHECK(plan.Clear());
  CHECK_EQ(disk.Plan(0, 3 * 4096, &plan), Found::kUp);
  CHECK_EQ(disk.ReadNow(bytes, 2, 8191), Found::kUp);
  CHECK_EQ(disk.ReadNow(bytes, 2, 8190), Found::kHit);
  CHECK(!disk.IsZero(8192, 1));
  CHECK(disk.IsZero(0, 8192));
  const std::vector<uint8_t> written(4096, 1);
  CHECK(disk.Write(written.data(), 4096, 8192).ok());
  CHECK(disk.Plan(0, 3 * 4096, &plan) != Found::kUp);
}

void ManyParts(const std::string& directory) {
  const auto overlay = OpenOverlay(directory, 1 << 20);
  DiskSource disk(overlay, nullptr);
  const std::vector<uint8_t> written(4096, 1);
  for (uint64_t block = 0; block < 128; block += 2) CHECK(disk.Write(written.data(), 4096, block * 4096).ok());
  ReadPlan plan;
  CHECK(disk.Plan(0, ReadPlan::kMostParts * 4096, &plan) != Found::kUp);
  CHECK_EQ(plan.parts().size(), ReadPlan::kMostParts);
  CHECK(plan.Clear());
  CHECK_EQ(disk.Plan(0, (ReadPlan::kMostParts + 1) * 4096, &plan), Found::kUp);
  CHECK_EQ(plan.parts().size(), 0);
}

}  // namespace

int main() {
  for (void (*test)(const std::string&) : {Image, Marks, Touches, Cold, Disk, Remote, ManyParts}) {
    const check::Directory directory;
    test(directory.path());
  }
  return 0;
}
