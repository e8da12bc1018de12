#include "block_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "direct_io.h"

namespace copse {

Status BlockFile::Open(const char* path, const BlockFileOptions& options, std::shared_ptr<BlockFile>* opened) {
  const int flags = O_CLOEXEC | (options.write ? O_RDWR : O_RDONLY) | (options.create ? O_CREAT : 0);
  auto file = std::make_shared<BlockFile>();
  file->fd_ = Descriptor(open(path, flags, 0600));
  if (!file->fd_.valid()) return {errno, "open"};
  struct stat info;
  if (fstat(file->fd_.get(), &info) != 0) return {errno, "fstat"};
  if (S_ISDIR(info.st_mode)) return {EISDIR, "open"};
  file->block_device_ = S_ISBLK(info.st_mode);
  const off_t size = file->block_device_ ? lseek(file->fd_.get(), 0, SEEK_END) : info.st_size;
  if (size < 0) return {errno, "lseek"};
  file->size_bytes_.store(static_cast<uint64_t>(size), std::memory_order_relaxed);
  if (options.direct) {
    file->direct_fd_ = Descriptor(open(path, (flags & ~O_CREAT) | O_DIRECT));
    if (!file->direct_fd_.valid() && errno != EINVAL) return {errno, "open"};
  }
  *opened = std::move(file);
  return {};
}

Status BlockFile::AllocatedBytes(uint64_t* bytes) const {
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) return {errno, "fstat"};
  *bytes = static_cast<uint64_t>(info.st_blocks) * 512;
  return {};
}

bool BlockFile::ReadNow(uint8_t* target, size_t size, uint64_t offset) {
  return !direct_fd_.valid() && page_cache_.Read(fd_.get(), target, size, offset);
}

Status BlockFile::Read(uint8_t* target, size_t size, uint64_t offset) const {
  if (direct_fd_.valid() && IsDirectRange(size, offset)) return ReadDirect(direct_fd_.get(), fd_.get(), target, size, offset);
  return ReadFull(fd_.get(), target, size, offset, AtEnd::kZeros);
}

Status BlockFile::Write(const uint8_t* source, size_t size, uint64_t offset, bool durable) const {
  if (direct_fd_.valid() && IsDirectRange(size, offset)) return WriteDirect(direct_fd_.get(), source, size, offset, durable);
  return WriteFull(fd_.get(), source, size, offset, durable);
}

Status BlockFile::Zero(uint64_t offset, uint64_t size, bool punch, bool fast_only) const {
  const uint64_t end = offset + size;
  const uint64_t page = PageBytes();
  const uint64_t start = std::min(end, (offset + page - 1) / page * page);
  const uint64_t stop = std::max(start, end / page * page);
  if (start < stop) {
    uint64_t punched_start, punched_end;
    Status status = punch ? PunchPages(fd_.get(), start, stop, &punched_start, &punched_end) : Status{EOPNOTSUPP, "fallocate"};
    // For a block device without the command the kernel would write the zeros one by one, which
    // `fast_only` excludes.
    const bool may_be_slow = block_device_ && fast_only;
    if (status.error == EOPNOTSUPP && !may_be_slow) {
      const int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
      const int failed = fallocate(fd_.get(), mode, static_cast<off_t>(start), static_cast<off_t>(stop - start));
      status = failed == 0 ? Status{} : Status{errno, "fallocate"};
    }
    if (status.error == EOPNOTSUPP && !fast_only) status = WriteZeros(fd_.get(), stop - start, start);
    if (!status.ok()) return status;
  }
  // The ragged ends are less than two pages, which is fast enough.
  const Status head = WriteZeros(fd_.get(), start - offset, offset);
  return head.ok() && stop < end ? WriteZeros(fd_.get(), end - std::max(stop, start), std::max(stop, start)) : head;
}

Status BlockFile::Extents(uint64_t offset, uint64_t size, size_t max_count, std::vector<FileExtent>* extents) const {
  const uint64_t end = offset + size;
  while (offset < end && extents->size() < max_count) {
    const off_t data = lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno != ENXIO && errno != EINVAL) return {errno, "lseek"};
    // EINVAL: no notion of holes. ENXIO: no data from here on.
    const bool no_holes = data < 0 && errno == EINVAL;
    const uint64_t data_start = no_holes ? offset : data < 0 ? end : std::min<uint64_t>(end, static_cast<uint64_t>(data));
    if (data_start > offset) {
      extents->push_back({data_start - offset, true});
      offset = data_start;
      continue;
    }
    const off_t hole = no_holes ? -1 : lseek(fd_.get(), static_cast<off_t>(offset), SEEK_HOLE);
    // A hole at `offset` or none: the range changed meanwhile, and data is never a wrong answer.
    const bool found = hole > static_cast<off_t>(offset);
    const uint64_t data_end = found ? std::min<uint64_t>(end, static_cast<uint64_t>(hole)) : end;
    if (!extents->empty() && !extents->back().hole) {
      extents->back().size_bytes += data_end - offset;
    } else {
      extents->push_back({data_end - offset, false});
    }
    offset = data_end;
  }
  return {};
}

Status BlockFile::Truncate(uint64_t size_bytes) {
  while (ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) != 0) {
    if (errno != EINTR) return {errno, "ftruncate"};
  }
  size_bytes_.store(size_bytes, std::memory_order_relaxed);
  return {};
}

}  // namespace copse
