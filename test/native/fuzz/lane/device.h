// The files that lanes answer from, made once, and beside them what they hold as plain bytes. Each
// execution finds them as they were made.
//
//   unit (64 KiB)  image, 16 KiB a chunk                    disk, over it
//   0              data                                     image
//   1              data, zeros, absent, unverified          image
//   2, 3           zeros                                    image; one block of data
//   4              data                                     data
//   5              data, data, zeros, zeros                 zeros
//   6, 7           data                                     image; in 7 two blocks are on another node
//   8              zeros, data, data, data                  image
//   9              absent, data, unverified, a part         image
//   10             none                                     zeros, as beyond the image
//   11 to 15       none                                     data and zeros by turns, in more parts than a plan has
#pragma once

#include <fcntl.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "../../../../native/core/fast/range_source.h"
#include "../../source_image.h"

namespace lane {

using copse::BlockState;
using copse::ChunkState;

class Files {
 public:
  static constexpr uint64_t kUnit = 64 << 10;
  static constexpr uint32_t kChunk = 16 << 10;
  static constexpr uint64_t kBlock = copse::kBlockBytes;
  static constexpr uint64_t kImageBytes = 10 * kUnit - 3000, kDiskBytes = 16 * kUnit;

  static Files& Shared() {
    // The directory goes at the process's end; the files are never closed, since other threads may
    // run on.
    static const check::Directory directory;
    static Files* const files = new Files(directory.path());
    return *files;
  }

  static ChunkState StateOfChunk(uint64_t index) {
    const uint64_t unit = index / 4, part = index % 4;
    if (unit == 2 || unit == 3 || (unit == 5 && part >= 2) || (unit == 8 && part == 0)) return ChunkState::kZero;
    if (unit == 1) return std::array<ChunkState, 4>{ChunkState::kPresent, ChunkState::kZero, ChunkState::kAbsent, ChunkState::kUnverified}[part];
    if (unit == 9 && part % 2 == 0) return part == 0 ? ChunkState::kAbsent : ChunkState::kUnverified;
    return ChunkState::kPresent;
  }
  static BlockState StateOfBlock(uint64_t index) {
    const uint64_t unit = index / 16, part = index % 16;
    if (unit == 4 || (unit == 2 && part == 3)) return BlockState::kData;
    if (unit == 5) return BlockState::kZero;
    if (unit == 7 && part >= 14) return BlockState::kRemote;
    if (unit >= 11) return part % 2 == 0 ? BlockState::kData : BlockState::kZero;
    return BlockState::kBase;
  }

  // The bytes of each block, and a mark for each that may be answered from here at all.
  struct Content {
    std::vector<uint8_t> bytes;
    std::vector<bool> here;
  };
  const Content& image_content() const { return image_content_; }
  const Content& disk_content() const { return disk_content_; }
  const std::shared_ptr<copse::ChunkFile>& image() const { return image_; }
  const std::shared_ptr<copse::OverlayFile>& overlay() const { return overlay_; }

  // Evicts a chunk. False: it is being read. An evicted chunk is absent, but its pages may be on
  // their way to a client.
  bool Evict(uint32_t index) {
    ChunkState before;
    if (!image_->map().TakeForEvict(index, &before)) return false;
    if (before == ChunkState::kPresent && !image_->map().IsSent(index)) {
      const std::vector<uint8_t> other(image_->map().ChunkLength(index), 0xee);
      Put(image_->data_fd(), other.data(), other.size(), uint64_t{index} * kChunk);
    }
    image_->map().Publish(index, ChunkState::kAbsent);
    return true;
  }
  // As a verification that fails does, while others read the chunk. What they have read is right
  // all the same.
  bool Rot(uint32_t index) {
    ChunkState state;
    if (!image_->map().TakeForVerify(index, &state)) return false;
    if (state == ChunkState::kPresent || state == ChunkState::kUnverified) {
      image_->map().Unreadable(index);
      state = ChunkState::kAbsent;
    }
    image_->map().Publish(index, state);
    return true;
  }

  // When no lane is left: as at first. `written`: offsets and sizes of what may have been written
  // of the disk.
  void Restore(const std::vector<std::pair<uint64_t, uint64_t>>& written) {
    for (uint32_t index = 0; index < image_->map().count(); index += 1) {
      CHECK_EQ(image_->map().PinCount(index), 0u);
      const ChunkState wanted = StateOfChunk(index);
      image_->map().SetMark(index, false);
      ChunkState before;
      if (image_->map().state(index) != wanted) {
        CHECK(image_->map().TakeForStore(index, &before));
        if (wanted == ChunkState::kPresent) Put(image_->data_fd(), &image_content_.bytes[uint64_t{index} * kChunk], image_->map().ChunkLength(index), uint64_t{index} * kChunk);
        image_->map().Publish(index, wanted);
      }
      if (!image_->map().IsSent(index)) continue;
      CHECK(image_->map().TakeForVerify(index, &before));
      image_->map().ClearSent(index);
      image_->map().Publish(index, before);
    }
    if (written.empty()) return;
    for (const auto& [offset, size] : written) Put(overlay_->data_fd(), &disk_file_[offset], size, offset);
    overlay_.reset();
    OpenDisk();
  }

 private:
  explicit Files(const std::string& directory) : directory_(directory) {
    image_ = OpenImage(directory, kImageBytes, kChunk);
    image_content_ = {ImageBytes(0, kImageBytes), std::vector<bool>((kImageBytes + kBlock - 1) / kBlock)};
    for (uint32_t index = 0; index < image_->map().count(); index += 1) {
      const ChunkState state = StateOfChunk(index);
      const uint64_t begin = uint64_t{index} * kChunk, size = image_->map().ChunkLength(index);
      const bool here = state == ChunkState::kPresent || state == ChunkState::kZero;
      if (state == ChunkState::kZero) memset(&image_content_.bytes[begin], 0, size);
      for (uint64_t at = begin; at < begin + size; at += kBlock) image_content_.here[at / kBlock] = here;
      // Absent chunks hold other bytes, so that a read of them shows.
      const std::vector<uint8_t> other(size, 0xee);
      Put(image_->data_fd(), here ? &image_content_.bytes[begin] : other.data(), size, begin);
      image_->map().Load(index, state);
    }
    disk_content_ = image_content_;
    disk_content_.bytes.resize(kDiskBytes);
    disk_content_.here.resize(kDiskBytes / kBlock, true);
    for (uint64_t index = 0; index < kDiskBytes / kBlock; index += 1) {
      const BlockState state = StateOfBlock(index);
      uint8_t* const bytes = &disk_content_.bytes[index * kBlock];
      if (state == BlockState::kData) {
        for (uint64_t i = 0; i < kBlock; i += 1) bytes[i] = static_cast<uint8_t>(ImageByte(index * kBlock + i) ^ 0xff);
      } else if (state == BlockState::kZero) {
        memset(bytes, 0, kBlock);
      }
      if (state != BlockState::kBase) disk_content_.here[index] = state != BlockState::kRemote;
    }
    OpenDisk();
    // Under blocks that are no data lies something else.
    disk_file_ = disk_content_.bytes;
    for (uint64_t index = 0; index < kDiskBytes / kBlock; index += 1) {
      if (StateOfBlock(index) != BlockState::kData) memset(&disk_file_[index * kBlock], 0xdd, kBlock);
    }
    Put(overlay_->data_fd(), disk_file_.data(), disk_file_.size(), 0);
  }

  void OpenDisk() {
    const std::string data = directory_ + "/disk.data", map = directory_ + "/disk.map";
    const copse::OverlayLayout layout{kDiskBytes, kBlock, 9};
    copse::OverlayLog::Remove(map.c_str());
    std::vector<uint8_t> sector(copse::kSectorBytes);
    for (uint64_t index = 0; index < kDiskBytes / kBlock; index += 1) sector[index] = static_cast<uint8_t>(StateOfBlock(index));
    copse::SealSector(sector.data(), 0, layout.record_seed);
    const copse::Descriptor map_file(open(map.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    Put(map_file.get(), sector.data(), sector.size(), layout.records_offset);
    const char* failed = "";
    CHECK_EQ(copse::OverlayFile::Open(data.c_str(), map.c_str(), layout, &overlay_, &failed).error, 0);
  }

  static void Put(int file, const uint8_t* bytes, size_t size, uint64_t offset) {
    CHECK_EQ(pwrite(file, bytes, size, static_cast<off_t>(offset)), static_cast<ssize_t>(size));
  }

  const std::string directory_;
  std::shared_ptr<copse::ChunkFile> image_;
  std::shared_ptr<copse::OverlayFile> overlay_;
  Content image_content_, disk_content_;
  std::vector<uint8_t> disk_file_;
};

// The source of one grant. It knows from when on it may not be used, and which blocks are cold.
class Source final : public copse::RangeSource {
 public:
  Source(std::unique_ptr<copse::RangeSource> from, uint8_t cold, bool colds_fail, bool writes_fail)
      : from_(std::move(from)), cold_(cold), colds_fail_(colds_fail), writes_fail_(writes_fail) {}

  uint64_t size_bytes() const override { return from_->size_bytes(); }
  copse::Found ReadNow(uint8_t* target, size_t size, uint64_t offset) override {
    const InUse use(this, offset, size);
    Begin();
    const copse::Found found = from_->ReadNow(target, size, offset);
    if (found == copse::Found::kHit && IsCold(offset)) return copse::Found::kCold;
    // A page that has left the cache, or a file system that does not say: no input should depend on
    // it.
    if (found == copse::Found::kCold && !IsCold(offset)) return ReadAnyway(target, size, offset);
    return found;
  }
  bool IsZero(uint64_t offset, uint64_t size) const override {
    const InUse use(this, offset, size);
    return from_->IsZero(offset, size);
  }
  copse::Found Plan(uint64_t offset, uint64_t size, copse::ReadPlan* plan) override {
    const InUse use(this, offset, size);
    Begin();
    if (IsCold(offset) && colds_fail_ && OnPool()) return copse::Found::kUp;
    const copse::Found found = from_->Plan(offset, size, plan);
    return found == copse::Found::kHit && IsCold(offset) ? copse::Found::kCold : found;
  }
  bool CanWrite(uint64_t offset, uint64_t size) const override {
    const InUse use(this, offset, size);
    return from_->CanWrite(offset, size);
  }
  copse::Status Write(const uint8_t* source, size_t size, uint64_t offset) override {
    const InUse use(this, offset, size);
    Begin();
    if (writes_fail_ && offset / Files::kBlock % 2 == 1) return {EIO, "pwrite"};
    return from_->Write(source, size, offset);
  }

  // Something else was granted since; all is quiet since.
  std::atomic<bool> replaced{false}, over{false};

 private:
  struct InUse {
    InUse(const Source* used, uint64_t offset, uint64_t size) : source(used) {
      CHECK(!source->over);
      CHECK(size > 0 && offset < source->size_bytes() && size <= source->size_bytes() - offset);
    }
    ~InUse() { CHECK(!source->over); }
    const Source* source;
  };

  // A request that was begun before may still come to this.
  void Begin() {
    if (replaced && !OnPool()) CHECK_EQ(late_.fetch_add(1), 0);
  }
  bool IsCold(uint64_t offset) const { return (cold_ >> (offset / Files::kUnit % 8) & 1) != 0; }
  copse::Found ReadAnyway(uint8_t* target, size_t size, uint64_t offset) {
    copse::ReadPlan plan;
    if (from_->Plan(offset, size, &plan) == copse::Found::kUp) return copse::Found::kUp;
    for (const copse::ReadPlan::Part& part : plan.parts()) {
      if (part.fd < 0) memset(target, 0, part.size);
      else if (!copse::ReadFull(part.fd, target, part.size, part.offset, copse::AtEnd::kError).ok()) return copse::Found::kUp;
      target += part.size;
    }
    return plan.Clear() ? copse::Found::kHit : copse::Found::kUp;
  }
  // The lane's own thread asks of large reads whether they are cold.
  static bool OnPool() {
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return std::string(name) != "copse-lane";
  }

  const std::unique_ptr<copse::RangeSource> from_;
  const uint8_t cold_;
  const bool colds_fail_, writes_fail_;
  std::atomic<int> late_{0};
};

}  // namespace lane
