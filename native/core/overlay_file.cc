#include "overlay_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace copse {
namespace {

Status Open(const char* path, Descriptor* opened) {
  Descriptor fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return {errno, "open"};
  *opened = std::move(fd);
  return {};
}

Status GrowTo(const Descriptor& fd, uint64_t size, FileIdentity* identity, bool* was_empty) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return {errno, "fstat"};
  *was_empty = info.st_size == 0;
  const bool shorter = static_cast<uint64_t>(info.st_size) < size;
  if (shorter && ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return {errno, "ftruncate"};
  *identity = FileIdentity::Of(info);
  return {};
}

uint64_t MapPage(uint64_t file_offset) { return file_offset / kBlockBytes; }

}  // namespace

Status OverlayFile::Open(const char* data_path, const char* map_path, const OverlayLayout& layout, std::shared_ptr<OverlayFile>* opened,
                         const char** failed_path) {
  auto file = std::make_shared<OverlayFile>();
  file->layout_ = layout;
  file->data_path_ = data_path;
  file->map_path_ = map_path;
  file->times_.opened_ms = WallClockMs();
  *failed_path = map_path;
  if (!file->map_.Allocate(layout.size_bytes / kBlockBytes)) return {ENOMEM, "mmap"};
  const uint64_t map_size = file->SectorOffset(file->map_.sector_count());
  file->reserved_ = std::vector<std::atomic<bool>>(MapPage(map_size) + 1);
  bool was_empty;
  // Nothing is changed before the lock is held: the files may be in use.
  *failed_path = data_path;
  Status status = copse::Open(data_path, &file->data_fd_);
  if (status.ok()) status = LockFile(file->data_fd_);
  if (status.ok()) file->is_locked_ = true;
  if (status.ok()) status = file->claim_.Take(file->data_fd_);
  if (status.ok()) {
    *failed_path = map_path;
    status = copse::Open(map_path, &file->map_fd_);
  }
  if (status.ok()) status = GrowTo(file->map_fd_, map_size, &file->map_identity_, &was_empty);
  if (status.ok()) {
    if (was_empty) {
      OverlayLog::Remove(map_path);
      RemoveOverlayMarks(map_path);
    }
    *failed_path = data_path;
    status = GrowTo(file->data_fd_, layout.size_bytes, &file->data_identity_, &was_empty);
  }
  if (status.ok()) {
    *failed_path = map_path;
    status = file->Load();
  }
  if (status.ok()) status = file->Replay(map_path);
  if (!status.ok()) return status;
  file->FindStale();
  *opened = std::move(file);
  return {};
}

// By its own word: a process that was begun meanwhile holds a copy of the descriptor for a moment,
// and the lock with it.
OverlayFile::~OverlayFile() {
  if (is_locked_) flock(data_fd_.get(), LOCK_UN);
}

Status OverlayFile::Load() {
  std::vector<uint8_t> buffer;
  const uint64_t end = SectorOffset(map_.sector_count());
  uint64_t at = layout_.records_offset;
  while (at < end) {
    const off_t data = lseek(map_fd_.get(), static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    // EINVAL: a file system with no notion of holes; all is read.
    if (data < 0 && errno != EINVAL) return {errno, "lseek"};
    const uint64_t start = data < 0 ? at : static_cast<uint64_t>(data);
    if (start >= end) break;
    const off_t hole = data < 0 ? -1 : lseek(map_fd_.get(), data, SEEK_HOLE);
    const uint64_t stop = hole < 0 ? end : std::min(end, static_cast<uint64_t>(hole));
    const uint64_t first = (start - layout_.records_offset) / kSectorBytes;
    const uint64_t last_end = (stop - layout_.records_offset + kSectorBytes - 1) / kSectorBytes;
    const Status status = LoadSectors(first, last_end, &buffer);
    if (!status.ok()) return status;
    at = SectorOffset(last_end);
  }
  return {};
}

Status OverlayFile::LoadSectors(uint64_t first, uint64_t end, std::vector<uint8_t>* buffer) {
  constexpr uint64_t kBatch = 2048;
  while (first < end) {
    const uint64_t count = std::min(kBatch, end - first);
    buffer->resize(count * kSectorBytes);
    const Status status = ReadFull(map_fd_.get(), buffer->data(), buffer->size(), SectorOffset(first), AtEnd::kZeros);
    if (!status.ok()) return status;
    for (uint64_t i = 0; i < count; i += 1) {
      const uint8_t* const sector = buffer->data() + i * kSectorBytes;
      if (!IsSealedSector(sector, first + i, layout_.record_seed)) return {EBADMSG, "read"};
      map_.LoadSector(first + i, sector);
    }
    first += count;
  }
  return {};
}

Status OverlayFile::Replay(const char* map_path) {
  std::vector<OverlayLog::Record> records;
  const Status status = log_.Open(map_path, map_fd_.get(), &records);
  if (!status.ok()) return status;
  for (const OverlayLog::Record& record : records) {
    if (record.first >= map_.count() || record.count > map_.count() - record.first) return {EBADMSG, "read"};
    map_.Set(record.first, record.first + record.count, record.state, false);
    // The map file may say the same in the page cache alone.
    map_.LoadUnwritten(record.first, record.first + record.count);
  }
  map_unsynced_ = HasUnsyncedMark(map_path_);
  if (map_unsynced_) map_.LoadAllUnwritten();
  if (ReadLossMark(map_path_, &loss_text_)) {
    data_lost_ = {EIO, "fdatasync"};
    loss_is_marked_ = true;
    lost_.store(true, std::memory_order_release);
  }
  return {};
}

// A crash between the sync of the map and the punch leaves bytes under zeros: the next flush frees
// them. Best effort.
void OverlayFile::FindStale() {
  if (map_.block_count(BlockState::kZero) == 0) return;
  uint64_t next_data = 0;
  for (uint64_t first = 0; first < map_.count();) {
    BlockState state;
    const uint64_t end = map_.RunEnd(first, map_.count(), &state);
    if (state == BlockState::kZero && next_data < end * kBlockBytes) {
      const off_t data = lseek(data_fd_.get(), static_cast<off_t>(first * kBlockBytes), SEEK_DATA);
      if (data < 0) return;
      next_data = static_cast<uint64_t>(data);
      if (next_data < end * kBlockBytes) map_.LoadStale(first, end);
    }
    first = end;
  }
}

OverlayFile::Footing OverlayFile::footing() const {
  struct stat info;
  struct statvfs system;
  if (!has_files()) {
    for (const auto& [path, identity] : {std::pair(&data_path_, &data_identity_), std::pair(&map_path_, &map_identity_)}) {
      if (stat(path->c_str(), &info) != 0 || *identity != FileIdentity::Of(info)) return Footing::kUnlinked;
    }
    return statvfs(data_path_.c_str(), &system) == 0 && (system.f_flag & ST_RDONLY) != 0 ? Footing::kReadOnly : Footing::kFirm;
  }
  for (const int fd : {data_fd_.get(), map_fd_.get()}) {
    if (fstat(fd, &info) == 0 && info.st_nlink == 0) return Footing::kUnlinked;
  }
  const bool read_only = fstatvfs(data_fd_.get(), &system) == 0 && (system.f_flag & ST_RDONLY) != 0;
  return read_only ? Footing::kReadOnly : Footing::kFirm;
}

Status OverlayFile::AllocatedBytes(uint64_t* bytes) const {
  struct stat info;
  if ((has_files() ? fstat(data_fd_.get(), &info) : stat(data_path_.c_str(), &info)) != 0) return {errno, "stat"};
  *bytes = static_cast<uint64_t>(info.st_blocks) * 512;
  return {};
}

bool OverlayFile::IsZero(uint64_t offset, uint64_t size) const {
  return size == 0 || map_.All(offset / kBlockBytes, (offset + size - 1) / kBlockBytes + 1, BlockState::kZero);
}

bool OverlayFile::IsLocal(uint64_t offset, uint64_t size) const {
  return size == 0 || map_.IsLocal(offset / kBlockBytes, (offset + size - 1) / kBlockBytes + 1);
}

OverlayNow OverlayFile::ReadNow(uint8_t* target, size_t size, uint64_t offset) {
  if (size == 0) return OverlayNow::kHit;
  const uint64_t end = offset + size;
  const uint64_t first = offset / kBlockBytes;
  const uint64_t end_block = (end - 1) / kBlockBytes + 1;
  if (!map_.IsLocal(first, end_block)) return map_.All(first, end_block, BlockState::kBase) ? OverlayNow::kBase : OverlayNow::kMixed;
  for (uint64_t block = first; block < end_block;) {
    BlockState state;
    block = map_.RunEnd(block, end_block, &state);
    const size_t part = static_cast<size_t>(std::min(end, block * kBlockBytes) - offset);
    if (state == BlockState::kZero) {
      memset(target, 0, part);
    } else if (!page_cache_.Read(data_fd_.get(), target, part, offset)) {
      return OverlayNow::kWouldBlock;
    }
    target += part;
    offset += part;
  }
  return OverlayNow::kHit;
}

Status OverlayFile::Read(uint8_t* target, size_t size, uint64_t offset) const {
  const uint64_t end = offset + size;
  while (offset < end) {
    BlockState state;
    const uint64_t run_end = map_.RunEnd(offset / kBlockBytes, (end - 1) / kBlockBytes + 1, &state);
    const size_t part = static_cast<size_t>(std::min(end, run_end * kBlockBytes) - offset);
    if (state == BlockState::kZero) {
      memset(target, 0, part);
    } else {
      const Status status = ReadFull(data_fd_.get(), target, part, offset, AtEnd::kError);
      if (!status.ok()) return status;
    }
    target += part;
    offset += part;
  }
  return {};
}

Status OverlayFile::Reserve(uint64_t first_block, uint64_t end_block) {
  uint64_t page = MapPage(SectorOffset(first_block / kSectorBlocks));
  uint64_t end_page = MapPage(SectorOffset((end_block - 1) / kSectorBlocks)) + 1;
  while (page < end_page && reserved_[page].load(std::memory_order_acquire)) page += 1;
  while (page < end_page && reserved_[end_page - 1].load(std::memory_order_acquire)) end_page -= 1;
  if (page == end_page) return {};
  const off_t start = static_cast<off_t>(page * kBlockBytes);
  while (fallocate(map_fd_.get(), FALLOC_FL_KEEP_SIZE, start, static_cast<off_t>(end_page * kBlockBytes) - start) != 0) {
    // A file system that can't promise space: a flush may fail for lack of it then.
    if (errno == EOPNOTSUPP) break;
    if (errno != EINTR) return {errno, "fallocate", true};
  }
  for (; page < end_page; page += 1) reserved_[page].store(true, std::memory_order_release);
  return {};
}

}  // namespace copse
