// Closes the descriptors of an idle overlay, and opens them again. The states stay in memory, and
// agree with the disk meanwhile.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>

#include "overlay_file.h"

namespace copse {
namespace {

// The file that was open under that path before, as long as it has to be: filled up, it would have
// zeros for bytes, and base for blocks.
Status OpenAgain(const std::string& path, const FileIdentity& identity, uint64_t min_size, Descriptor* opened) {
  Descriptor fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return {errno, "open"};
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return {errno, "fstat"};
  if (identity != FileIdentity::Of(info) || static_cast<uint64_t>(info.st_size) < min_size) return {ESTALE, "open"};
  *opened = std::move(fd);
  return {};
}

}  // namespace

bool OverlayFile::Park() {
  // The earlier holder of the overlay has let go of it on another thread.
  std::atomic_thread_fence(std::memory_order_acquire);
  // Bytes that are not on the disk yet may fail to get there, and only a descriptor that is open
  // then is told.
  if (!has_files() || IsDirty() || !data_lost_.ok() || lost_.load(std::memory_order_acquire)) return false;
  // By its own word, as in the destructor: a mapping (`residency_`) holds the file open longer than
  // the descriptor does, and the lock with it.
  flock(data_fd_.get(), LOCK_UN);
  data_fd_ = Descriptor();
  map_fd_ = Descriptor();
  log_.Close();
  return true;
}

Status OverlayFile::Unpark(const char** failed_path) {
  Descriptor data, map;
  *failed_path = map_path_.c_str();
  Status status = OpenAgain(map_path_, map_identity_, SectorOffset(map_.sector_count()), &map);
  if (!status.ok()) return status;
  *failed_path = data_path_.c_str();
  status = OpenAgain(data_path_, data_identity_, layout_.size_bytes, &data);
  if (status.ok()) status = LockFile(data);
  if (!status.ok()) return status;
  *failed_path = map_path_.c_str();
  status = log_.OpenAgain(map_path_.c_str());
  if (!status.ok()) return status;
  data_fd_ = std::move(data);
  map_fd_ = std::move(map);
  return {};
}

// In the place of a log that was exchanged a new one says nothing, until the next flush.
Status OverlayLog::OpenAgain(const char* map_path) {
  bool is_other = false;
  for (size_t i = 0; i < 2; i += 1) {
    files_[i].fd = Descriptor(open(PathOf(map_path, i).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct stat info;
    if (!files_[i].fd.valid()) return {errno, "open"};
    if (fstat(files_[i].fd.get(), &info) != 0) return {errno, "fstat"};
    is_other = is_other || files_[i].identity != FileIdentity::Of(info) || static_cast<uint64_t>(info.st_size) < files_[i].end;
    files_[i].identity = FileIdentity::Of(info);
  }
  return is_other ? Silence() : Status{};
}

void OverlayLog::Close() {
  for (File& file : files_) file.fd = Descriptor();
}

}  // namespace copse
