#include "chunk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "chunk_record.h"

namespace copse {

namespace {

// Opens one of the two files. A file that was there before has to be the same one, and as long as
// it has to be: filled up, it would have zeros for bytes. A file that was not there is made.
Status OpenSame(const std::string& path, uint64_t size_bytes, ChunkStates::Identity* identity, Descriptor* opened) {
  const bool is_known = identity->inode != 0;
  *opened = Descriptor(open(path.c_str(), O_RDWR | O_CLOEXEC | (is_known ? 0 : O_CREAT), 0600));
  if (!opened->valid()) return {errno, "open"};
  struct stat info;
  if (fstat(opened->get(), &info) != 0) return {errno, "fstat"};
  const bool is_short = static_cast<uint64_t>(info.st_size) < size_bytes;
  if (is_known && (is_short || info.st_ino != identity->inode || info.st_dev != identity->device)) return {ESTALE, "open"};
  if (is_short && ftruncate(opened->get(), static_cast<off_t>(size_bytes)) != 0) return {errno, "ftruncate"};
  *identity = {info.st_dev, info.st_ino};
  return {};
}

}  // namespace

std::shared_ptr<ChunkFile> ChunkFile::Create(const char* data_path, const char* map_path, const ChunkFileLayout& layout) {
  auto states = std::make_shared<ChunkStates>();
  states->layout = layout;
  states->data_path = data_path;
  states->map_path = map_path;
  const uint64_t count = (layout.size_bytes + layout.chunk_bytes - 1) / layout.chunk_bytes;
  const uint32_t tail = count == 0 ? 0 : static_cast<uint32_t>(layout.size_bytes - (count - 1) * layout.chunk_bytes);
  if (!states->map.Allocate(static_cast<uint32_t>(count), layout.chunk_bytes, tail)) return nullptr;
  return std::make_shared<ChunkFile>(std::move(states));
}

Status ChunkFile::Open(const char* data_path, const char* map_path, const ChunkFileLayout& layout, std::shared_ptr<ChunkFile>* opened,
                       const char** failed_path) {
  *failed_path = map_path;
  const std::shared_ptr<ChunkFile> file = Create(data_path, map_path, layout);
  if (!file) return {ENOMEM, "malloc"};
  const Status status = file->Load(failed_path);
  return status.ok() ? file->WithFiles(opened, failed_path) : status;
}

Status ChunkFile::WithFiles(std::shared_ptr<ChunkFile>* opened, const char** failed_path) const {
  auto file = std::make_shared<ChunkFile>(states_);
  const std::lock_guard<std::mutex> guard(states_->identity_mutex);
  *failed_path = states_->map_path.c_str();
  Status status = OpenSame(states_->map_path, 0, &states_->map_identity, &file->map_fd_);
  if (!status.ok()) return status;
  *failed_path = states_->data_path.c_str();
  status = OpenSame(states_->data_path, layout_.size_bytes, &states_->data_identity, &file->data_fd_);
  if (status.ok()) *opened = std::move(file);
  return status;
}

Status ChunkFile::Load(const char** failed_path) {
  *failed_path = states_->map_path.c_str();
  const Descriptor map(open(states_->map_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!map.valid()) return errno == ENOENT ? Status{} : Status{errno, "open"};
  struct stat info;
  if (fstat(map.get(), &info) != 0) return {errno, "fstat"};
  const std::lock_guard<std::mutex> guard(states_->identity_mutex);
  states_->map_identity = {info.st_dev, info.st_ino};
  struct stat data;
  if (stat(states_->data_path.c_str(), &data) == 0) states_->data_identity = {data.st_dev, data.st_ino};
  const uint64_t end = std::min<uint64_t>(static_cast<uint64_t>(info.st_size), RecordOffset(map_.count()));
  for (uint64_t at = layout_.records_offset; at < end;) {
    // A hole is records of absent chunks. A file system that knows no holes says that all is data.
    const off_t start = lseek(map.get(), static_cast<off_t>(at), SEEK_DATA);
    if (start < 0) return errno == ENXIO ? Status{} : Status{errno, "lseek"};
    const off_t stop = lseek(map.get(), start, SEEK_HOLE);
    if (stop < 0) return {errno, "lseek"};
    const Status status = LoadRecords(map.get(), static_cast<uint64_t>(start), std::min(end, static_cast<uint64_t>(stop)));
    if (!status.ok()) return status;
    at = static_cast<uint64_t>(stop);
  }
  return {};
}

// All records of which some byte lies in [start, end).
Status ChunkFile::LoadRecords(int fd, uint64_t start, uint64_t end) {
  if (start >= end) return {};
  constexpr uint32_t kBatch = 65536;
  uint32_t first = static_cast<uint32_t>((start - layout_.records_offset) / kChunkRecordBytes);
  const uint32_t last = static_cast<uint32_t>((end - 1 - layout_.records_offset) / kChunkRecordBytes);
  std::vector<uint8_t> records(std::min(last - first + 1, kBatch) * kChunkRecordBytes);
  while (first <= last) {
    const uint32_t count = std::min(last - first + 1, kBatch);
    const Status status = ReadFull(fd, records.data(), count * kChunkRecordBytes, RecordOffset(first), AtEnd::kZeros);
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
  if (!status.ok()) states_->sync_failed.store(true, std::memory_order_relaxed);
  return status;
}

Status ChunkFile::Sync() {
  if (states_->sync_failed.load(std::memory_order_relaxed)) return {EIO, "fdatasync"};
  const Status data = SyncOnce(data_fd_.get());
  return data.ok() ? SyncOnce(map_fd_.get()) : data;
}

}  // namespace copse
