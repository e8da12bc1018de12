// A flush makes an overlay durable, in the order that overlay_file.h gives, and frees its space.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "overlay_file.h"

namespace copse {

bool OverlayFile::IsDirty() {
  // Changes that a flush took stay dirty until it ends. So finding nothing counts only if no flush
  // was under way from before the look until after it.
  while (true) {
    const uint64_t turns = flush_turns_.load(std::memory_order_seq_cst);
    if (turns % 2 != 0 || data_dirty_.load(std::memory_order_seq_cst) || map_.HasChanges()) return true;
    if (flush_turns_.load(std::memory_order_seq_cst) == turns) return false;
  }
}

Status OverlayFile::Flush() {
  const std::lock_guard<std::mutex> hold(flush_mutex_);
  if (!data_lost_.ok()) return data_lost_;
  const Status status = FlushLocked();
  if (!status.ok()) return status;
  // After the sync: files that are removed later were flushed to while they were a disk.
  struct stat info;
  if (fstat(data_fd_.get(), &info) == 0 && info.st_nlink == 0) return {ESTALE, "fdatasync"};
  if (fstat(map_fd_.get(), &info) == 0 && info.st_nlink == 0) return {ESTALE, "fdatasync", true};
  return {};
}

Status OverlayFile::FlushLocked() {
  const uint64_t start_ms = WallClockMs();
  flush_turns_.fetch_add(1, std::memory_order_seq_cst);
  OverlayMap::Changes changes;
  {
    const std::lock_guard<std::mutex> hold_log(log_mutex_);
    log_.Turn();
    map_.TakeChanges(&changes);
  }
  // After the states were taken: data of each of them were written before it was set, so this sync
  // has them.
  const bool data_dirty = data_dirty_.exchange(false, std::memory_order_seq_cst);
  Status status;
  if (data_dirty || first_flush_) {
    status = SyncData(data_fd_.get());
    if (!status.ok()) {
      Lose(status);
      const std::lock_guard<std::mutex> hold_log(log_mutex_);
      log_.Silence();
    }
  }
  if (status.ok()) status = WriteChanges(&changes);
  if (status.ok()) {
    first_flush_ = false;
    times_.last_sync_ms = start_ms;
    if (map_unsynced_) RemoveUnsyncedMark(map_path_);
    map_unsynced_ = false;
    {
      const std::lock_guard<std::mutex> hold_log(log_mutex_);
      log_.Settle();
    }
    Punch(changes.stale);
  } else {
    if (data_dirty) data_dirty_.store(true, std::memory_order_seq_cst);
    map_.GiveBack(changes);
  }
  flush_turns_.fetch_add(1, std::memory_order_seq_cst);
  return status;
}

Status OverlayFile::WriteChanges(OverlayMap::Changes* changes) {
  const std::vector<uint64_t>& sectors = changes->sectors;
  if (sectors.empty()) return first_flush_ ? SyncMap() : Status{};
  for (size_t i = 0; i < sectors.size(); i += 1) SealSector(&changes->bytes[i * kSectorBytes], sectors[i], layout_.record_seed);
  for (size_t i = 0; i < sectors.size();) {
    size_t next = i + 1;
    while (next < sectors.size() && sectors[next] == sectors[next - 1] + 1) next += 1;
    const Status status =
        WriteFull(map_fd_.get(), &changes->bytes[i * kSectorBytes], (next - i) * kSectorBytes, SectorOffset(sectors[i]), false);
    if (!status.ok()) return {status.error, status.call, true};
    i = next;
  }
  return SyncMap();
}

// After a failed sync the map file reads as it was written, and is not so on the disk. The sectors
// that were tried stay unwritten here; a later process is told to write all of it.
Status OverlayFile::SyncMap() {
  const Status status = SyncData(map_fd_.get());
  if (status.ok()) return {};
  WriteUnsyncedMark(map_path_);
  map_unsynced_ = true;
  return {status.error, status.call, true};
}

void OverlayFile::Punch(const std::vector<BlockRun>& runs) {
  // In parts, so that no write waits for the end of a long punch.
  constexpr uint64_t kPartBlocks = (64 << 20) / kBlockBytes;
  // A guest waits for this. Where each punch is a discard that the disk is waited for, thousands of
  // pieces take seconds: the next flush goes on.
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (const BlockRun& run : runs) {
    for (uint64_t first = run.first; first < run.end; first += kPartBlocks) {
      const uint64_t end = std::min(run.end, first + kPartBlocks);
      if (std::chrono::steady_clock::now() < enough) {
        PunchPart({first, end});
      } else {
        map_.SetStale(first, end);
      }
    }
  }
}

// A block that can't be punched stays on the list. The flush has kept its promise before.
void OverlayFile::PunchPart(const BlockRun& run) {
  const RangeLock::Guard guard(lock_, run.first, run.end);
  for (uint64_t first = run.first; first < run.end;) {
    if (!map_.IsStale(first)) {
      first += 1;
      continue;
    }
    uint64_t end = first + 1;
    while (end < run.end && map_.IsStale(end)) end += 1;
    uint64_t punched_start, punched_end;
    const Status status = PunchPages(data_fd_.get(), first * kBlockBytes, end * kBlockBytes, &punched_start, &punched_end);
    if (status.ok() || status.error == EOPNOTSUPP) {
      map_.ClearStale(first, end);
    } else {
      map_.SetStale(first, end);
    }
    first = end;
  }
}

}  // namespace copse
