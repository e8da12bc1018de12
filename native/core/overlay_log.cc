#include "overlay_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "file_io.h"

namespace copse {
namespace {

struct Header {
  char magic[8];
  char boot_id[36];
  uint32_t turn;
  uint64_t map_inode;
  uint64_t map_birth_ns;
};
static_assert(sizeof(Header) == 64, "records never lie across the border of a page, so that a killed write leaves no part of one");

struct LogRecord {
  uint64_t first_and_state;  // state in the upper 8 bits
  uint32_t count;
  uint32_t turn;
};
static_assert(sizeof(LogRecord) == 16, "see above");

constexpr char kMagic[8] = {'c', 'o', 'p', 's', 'e', 'l', 'g', '1'};
constexpr int kStateShift = 56;
// A file that grew beyond this between two flushes gives its space back when its next turn begins.
constexpr uint64_t kKeptBytes = 1 << 20;

bool ReadBootId(char* boot_id, size_t size) {
  const Descriptor fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  return fd.valid() && read(fd.get(), boot_id, size) == static_cast<ssize_t>(size);
}

}  // namespace

void OverlayLog::Remove(const char* map_path) {
  for (size_t i = 0; i < 2; i += 1) unlink(PathOf(map_path, i).c_str());
}

Status OverlayLog::Open(const char* map_path, int map_fd, std::vector<Record>* records) {
  // Inodes are used again: the birth tells two files apart that had one. Where a file system knows
  // no birth it is 0.
  struct statx info;
  if (statx(map_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0) return {errno, "statx"};
  map_inode_ = info.stx_ino;
  if ((info.stx_mask & STATX_BTIME) != 0) map_birth_ns_ = static_cast<uint64_t>(info.stx_btime.tv_sec) * 1000000000 + info.stx_btime.tv_nsec;
  const bool knows_boot = ReadBootId(boot_id_, sizeof(boot_id_));
  for (size_t i = 0; i < 2; i += 1) {
    files_[i].fd = Descriptor(open(PathOf(map_path, i).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct stat file_info;
    if (!files_[i].fd.valid()) return {errno, "open"};
    if (fstat(files_[i].fd.get(), &file_info) != 0) return {errno, "fstat"};
    files_[i].identity = FileIdentity::Of(file_info);
  }
  std::vector<Record> found[2];
  if (knows_boot) {
    for (size_t i = 0; i < 2; i += 1) Read(&files_[i], &found[i]);
  }
  current_ = files_[1].turn > files_[0].turn ? 1 : 0;
  last_turn_ = files_[current_].turn;
  other_needed_ = !found[current_ ^ 1].empty();
  *records = std::move(found[current_ ^ 1]);
  records->insert(records->end(), found[current_].begin(), found[current_].end());
  return {};
}

void OverlayLog::Read(File* file, std::vector<Record>* records) {
  struct stat info;
  Header header;
  if (fstat(file->fd.get(), &info) != 0 || static_cast<uint64_t>(info.st_size) < sizeof(Header)) return;
  if (!ReadFull(file->fd.get(), reinterpret_cast<uint8_t*>(&header), sizeof(header), 0, AtEnd::kZeros).ok()) return;
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || memcmp(header.boot_id, boot_id_, sizeof(boot_id_)) != 0) return;
  if (header.map_inode != map_inode_ || header.map_birth_ns != map_birth_ns_) return;
  const uint64_t count = (static_cast<uint64_t>(info.st_size) - sizeof(Header)) / sizeof(LogRecord);
  std::vector<LogRecord> raw(count);
  if (count > 0 &&
      !ReadFull(file->fd.get(), reinterpret_cast<uint8_t*>(raw.data()), count * sizeof(LogRecord), sizeof(Header), AtEnd::kZeros).ok()) {
    return;
  }
  file->turn = header.turn;
  file->end = sizeof(Header);
  for (const LogRecord& record : raw) {
    const uint64_t state = record.first_and_state >> kStateShift;
    if (record.turn != header.turn || record.count == 0 || state == 0 || state > 2) break;
    const uint64_t first = record.first_and_state & ((UINT64_C(1) << kStateShift) - 1);
    records->push_back({first, record.count, static_cast<BlockState>(state)});
    file->end += sizeof(LogRecord);
  }
}

Status OverlayLog::Begin() {
  File& file = files_[current_];
  struct stat info;
  if (fstat(file.fd.get(), &info) == 0 && static_cast<uint64_t>(info.st_size) > kKeptBytes && ftruncate(file.fd.get(), 0) != 0) {
    return {errno, "ftruncate"};
  }
  Header header{};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  memcpy(header.boot_id, boot_id_, sizeof(boot_id_));
  header.turn = last_turn_ + 1;
  header.map_inode = map_inode_;
  header.map_birth_ns = map_birth_ns_;
  const Status status = WriteFull(file.fd.get(), reinterpret_cast<const uint8_t*>(&header), sizeof(header), 0, false);
  if (!status.ok()) return status;
  file.turn = last_turn_ = header.turn;
  file.end = sizeof(Header);
  return {};
}

Status OverlayLog::Append(uint64_t first, uint64_t end, BlockState state) {
  if (silent_) return {};
  const Status status = Write(first, end, state);
  if (status.ok()) return {};
  // Without room for a change to data there is none for the data: the write fails as a whole, and
  // the log misses nothing.
  if (status.error == ENOSPC && state == BlockState::kData) return status;
  return Silence();
}

Status OverlayLog::Silence() {
  for (File& file : files_) {
    if (ftruncate(file.fd.get(), 0) != 0) return {errno, "ftruncate"};
    file.end = 0;
  }
  other_needed_ = false;
  silent_ = true;
  return {};
}

Status OverlayLog::Write(uint64_t first, uint64_t end, BlockState state) {
  File& file = files_[current_];
  if (file.end == 0) {
    const Status begun = Begin();
    if (!begun.ok()) return begun;
  }
  while (first < end) {
    const uint64_t count = std::min<uint64_t>(end - first, UINT32_MAX);
    const LogRecord record{first | (static_cast<uint64_t>(state) << kStateShift), static_cast<uint32_t>(count), file.turn};
    const Status status = WriteFull(file.fd.get(), reinterpret_cast<const uint8_t*>(&record), sizeof(record), file.end, false);
    if (!status.ok()) return status;
    file.end += sizeof(record);
    first += count;
  }
  return {};
}

void OverlayLog::Turn() {
  // Changes that it missed go into the map with this flush.
  silent_ = false;
  if (other_needed_ || files_[current_].end <= sizeof(Header)) return;
  current_ ^= 1;
  files_[current_].end = 0;
  other_needed_ = true;
}

}  // namespace copse
