// Recovery of an overlay after a sync of its data failed: it writes again what the page cache still
// has, so that later reads agree with the disk.
//
// After a failed sync the kernel takes the pages for clean. It reads them from memory, with the new
// bytes, until memory is short, and from the disk, with the old ones, after that. A page that is
// written again is dirty again. A page that has left memory reads as the disk has it already.
#include <sys/mman.h>

#include <algorithm>
#include <memory>

#include "overlay_file.h"

namespace copse {
namespace {

constexpr uint64_t kWindowBytes = 64 << 20;
constexpr uint64_t kStepBytes = 1 << 20;

// Which pages of a window of the file are in memory. Where that can't be told, all of them count.
class Residents {
 public:
  Residents(int fd, uint64_t offset, uint64_t size) : pages_((size + PageBytes() - 1) / PageBytes(), 1) {
    void* const memory = mmap(nullptr, size, PROT_NONE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (memory == MAP_FAILED) return;
    if (mincore(memory, size, pages_.data()) != 0) std::fill(pages_.begin(), pages_.end(), 1);
    munmap(memory, size);
  }
  uint64_t count() const { return pages_.size(); }
  bool Has(uint64_t page) const { return (pages_[page] & 1) != 0; }

 private:
  std::vector<unsigned char> pages_;
};

}  // namespace

Status OverlayFile::RewritePart(uint64_t offset, uint64_t size) {
  const uint64_t first = offset / kBlockBytes, end = (offset + size - 1) / kBlockBytes + 1;
  const RangeLock::Guard guard(lock_, first, end);
  std::vector<uint8_t> bytes;
  for (uint64_t block = first; block < end;) {
    BlockState state;
    const uint64_t run_end = map_.RunEnd(block, end, &state);
    if (state == BlockState::kData) {
      bytes.resize((run_end - block) * kBlockBytes);
      Status status = ReadFull(data_fd_.get(), bytes.data(), bytes.size(), block * kBlockBytes, AtEnd::kZeros);
      if (status.ok()) status = WriteFull(data_fd_.get(), bytes.data(), bytes.size(), block * kBlockBytes, false);
      if (!status.ok()) return status;
    }
    block = run_end;
  }
  return {};
}

Status OverlayFile::RewriteResident() {
  const uint64_t page = PageBytes();
  for (uint64_t window = 0; window < layout_.size_bytes; window += kWindowBytes) {
    const uint64_t size = std::min(kWindowBytes, layout_.size_bytes - window);
    const Residents residents(data_fd_.get(), window, size);
    for (uint64_t at = 0; at < residents.count();) {
      uint64_t next = at;
      while (next < residents.count() && residents.Has(next) && (next - at) * page < kStepBytes) next += 1;
      if (next > at) {
        const uint64_t end = std::min(size, next * page);
        const Status status = RewritePart(window + at * page, end - at * page);
        if (!status.ok()) return status;
      }
      at = std::max(next, at + 1);
    }
  }
  return {};
}

Status OverlayFile::AcceptLoss() {
  const std::lock_guard<std::mutex> hold(flush_mutex_);
  if (data_lost_.ok()) return {};
  Status status = RewriteResident();
  if (!status.ok()) return status;
  data_dirty_.store(true, std::memory_order_seq_cst);
  const Status lost = data_lost_;
  data_lost_ = {};
  status = FlushLocked();
  if (status.ok()) status = RemoveLossMark(map_path_);
  if (!status.ok()) {
    data_lost_ = lost;
    return status;
  }
  const std::lock_guard<std::mutex> hold_loss(loss_mutex_);
  lost_.store(false, std::memory_order_release);
  loss_text_.clear();
  return {};
}

void OverlayFile::Lose(const Status& status) {
  data_lost_ = status;
  const std::lock_guard<std::mutex> hold(loss_mutex_);
  // The first loss tells from when on something may be missing.
  if (!lost_.load(std::memory_order_relaxed)) loss_text_ = LossText(status, times_);
  loss_is_marked_ = WriteLossMark(map_path_, loss_text_).ok();
  lost_.store(true, std::memory_order_release);
}

void OverlayFile::Remember(const std::string& loss_text) {
  const std::lock_guard<std::mutex> hold(flush_mutex_);
  if (!data_lost_.ok()) return;
  data_lost_ = {EIO, "fdatasync"};
  const std::lock_guard<std::mutex> hold_loss(loss_mutex_);
  loss_text_ = loss_text;
  loss_is_marked_ = WriteLossMark(map_path_, loss_text_).ok();
  lost_.store(true, std::memory_order_release);
}

bool OverlayFile::HasLost(std::string* text, bool* is_marked) {
  if (!lost_.load(std::memory_order_acquire)) return false;
  const std::lock_guard<std::mutex> hold(loss_mutex_);
  *text = loss_text_;
  *is_marked = loss_is_marked_;
  return true;
}

}  // namespace copse
