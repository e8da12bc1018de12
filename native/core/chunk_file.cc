#include "chunk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "chunk_record.h"

namespace copse {

Status ChunkFile::Open(const char* data_path, const char* map_path, const ChunkFileLayout& layout, std::shared_ptr<ChunkFile>* opened,
                       const char** failed_path) {
  auto file = std::make_shared<ChunkFile>();
  file->layout_ = layout;
  const uint64_t count = (layout.size_bytes + layout.chunk_bytes - 1) / layout.chunk_bytes;
  const uint32_t tail = count == 0 ? 0 : static_cast<uint32_t>(layout.size_bytes - (count - 1) * layout.chunk_bytes);
  *failed_path = map_path;
  if (!file->map_.Allocate(static_cast<uint32_t>(count), layout.chunk_bytes, tail)) return {ENOMEM, "malloc"};
  file->map_fd_ = Descriptor(open(map_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file->map_fd_.valid()) return {errno, "open"};
  *failed_path = data_path;
  file->data_fd_ = Descriptor(open(data_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file->data_fd_.valid()) return {errno, "open"};
  struct stat info;
  if (fstat(file->data_fd_.get(), &info) != 0) return {errno, "fstat"};
  const bool shorter = static_cast<uint64_t>(info.st_size) < layout.size_bytes;
  if (shorter && ftruncate(file->data_fd_.get(), static_cast<off_t>(layout.size_bytes)) != 0) return {errno, "ftruncate"};
  *failed_path = map_path;
  const Status status = file->Load();
  if (status.ok()) *opened = std::move(file);
  return status;
}

Status ChunkFile::Load() {
  std::vector<uint8_t> records(std::min<size_t>(map_.count(), 65536) * kChunkRecordBytes);
  for (uint32_t first = 0; first < map_.count();) {
    const uint32_t count = std::min<uint32_t>(map_.count() - first, 65536);
    const Status status = ReadFull(map_fd_.get(), records.data(), count * kChunkRecordBytes, RecordOffset(first), AtEnd::kZeros);
    if (!status.ok()) return status;
    for (uint32_t i = 0; i < count; i += 1) {
      ChunkState state = DecodeChunkRecord(&records[i * kChunkRecordBytes], first + i, layout_.record_seed).state;
      if (state == ChunkState::kPresent && !layout_.trusted) state = ChunkState::kUnverified;
      if (state != ChunkState::kAbsent) map_.Load(first + i, state);
    }
    first += count;
  }
  return {};
}

bool ChunkFile::IsZero(uint64_t offset, uint64_t size) const {
  if (size == 0) return true;
  const uint32_t last = static_cast<uint32_t>((offset + size - 1) / layout_.chunk_bytes);
  for (uint32_t index = static_cast<uint32_t>(offset / layout_.chunk_bytes); index <= last; index += 1) {
    if (map_.state(index) != ChunkState::kZero) return false;
  }
  return true;
}

NowResult ChunkFile::ReadNow(uint8_t* target, size_t size, uint64_t offset, Reader reader) {
  const uint64_t end = offset + size;
  // A long range that can't be a hit should not be copied half way first.
  for (uint64_t at = (offset / layout_.chunk_bytes + 1) * layout_.chunk_bytes; at < end; at += layout_.chunk_bytes) {
    if (!map_.IsReadable(static_cast<uint32_t>(at / layout_.chunk_bytes), reader)) return NowResult::kAbsent;
  }
  while (offset < end) {
    const uint32_t index = static_cast<uint32_t>(offset / layout_.chunk_bytes);
    const size_t part = static_cast<size_t>(std::min(end, ChunkOffset(index) + layout_.chunk_bytes) - offset);
    const Pin pin = map_.TryPin(index, reader);
    if (pin == Pin::kAbsent || pin == Pin::kMarked) return NowResult::kAbsent;
    if (pin == Pin::kSaturated) return NowResult::kWouldBlock;
    if (pin == Pin::kZero) {
      memset(target, 0, part);
    } else {
      const bool read = page_cache_.Read(data_fd_.get(), target, part, offset);
      if (!map_.Unpin(index)) return NowResult::kAbsent;
      if (!read) return NowResult::kWouldBlock;
    }
    target += part;
    offset += part;
  }
  return NowResult::kHit;
}

Status ChunkFile::Read(PinnedRange& range, uint8_t* target, bool* valid) const {
  const uint64_t end = range.offset_ + range.size_;
  for (const PinnedRange::Run& run : range.runs_) {
    const uint64_t start = std::max(range.offset_, ChunkOffset(run.first));
    const size_t size = static_cast<size_t>(std::min(end, ChunkOffset(run.first) + uint64_t{run.count} * layout_.chunk_bytes) - start);
    if (run.zero) {
      memset(target + (start - range.offset_), 0, size);
      continue;
    }
    const Status status = ReadFull(data_fd_.get(), target + (start - range.offset_), size, start, AtEnd::kError);
    if (!status.ok()) return status;
  }
  *valid = range.Release();
  return {};
}

Status ChunkFile::SyncOnce(int fd) {
  const Status status = SyncData(fd);
  if (!status.ok()) sync_failed_.store(true, std::memory_order_relaxed);
  return status;
}

Status ChunkFile::Sync() {
  if (sync_failed_.load(std::memory_order_relaxed)) return {EIO, "fdatasync"};
  const Status data = SyncOnce(data_fd_.get());
  return data.ok() ? SyncOnce(map_fd_.get()) : data;
}

}  // namespace copse
