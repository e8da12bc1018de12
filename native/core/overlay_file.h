// The overlay of a disk: a sparse data file with each block at its own offset, the sectors of the
// map file, and the states in memory. Any thread may call it.
//
// A call that changes blocks holds the range lock over them. Readers take no lock, since no block
// ever stops being local. Order of writes:
//   write   data, the change in the log (overlay_log.h), the state in memory, the answer.
//   flush   copies the changed states, syncs the data, writes the copies to the map, syncs the map.
//           Only then it punches blocks that are zero both in the map on the disk and in memory.
// So a copied state never promises data that the sync before it did not cover. A partial write to a
// base, zero or remote block writes the whole block, whatever the file has there: nothing, bytes
// that a punch has not reached, or bytes that a crash left behind.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "descriptor.h"
#include "file_identity.h"
#include "file_io.h"
#include "overlay_claim.h"
#include "overlay_log.h"
#include "overlay_loss.h"
#include "overlay_map.h"
#include "page_residency.h"
#include "range_lock.h"
#include "status.h"

namespace copse {

struct OverlayLayout {
  uint64_t size_bytes;      // a multiple of kBlockBytes
  uint64_t records_offset;  // a multiple of kSectorBytes
  uint32_t record_seed;
};

enum class OverlayNow { kHit = 0, kWouldBlock = 1, kBase = 2, kMixed = 3 };

class OverlayFile {
 public:
  // `*failed_path` is the file that the status is about. EBADMSG: a sector of the map is rotten.
  // EWOULDBLOCK: the data file is open as an overlay already, in this process or another; nothing
  // was changed then. The lock (flock) lives as long as the object.
  static Status Open(const char* data_path, const char* map_path, const OverlayLayout& layout, std::shared_ptr<OverlayFile>* opened,
                     const char** failed_path);
  OverlayFile() = default;
  OverlayFile(const OverlayFile&) = delete;
  ~OverlayFile();

  // Closes the descriptors, unless something is to be flushed, or a sync has failed: then it is
  // false. Only while no other thread has the overlay.
  bool Park();
  // Opens them again, before anything but the map is asked. ESTALE: the files are not those that
  // were closed.
  Status Unpark(const char** failed_path);
  bool has_files() const { return data_fd_.valid(); }

  OverlayMap& map() { return map_; }
  uint64_t size_bytes() const { return layout_.size_bytes; }
  Status AllocatedBytes(uint64_t* bytes) const;
  bool IsDirty();
  bool IsZero(uint64_t offset, uint64_t size) const;

  OverlayNow ReadNow(uint8_t* target, size_t size, uint64_t offset);
  // True if every block of the range is data or zero. Such a range stays so.
  bool IsLocal(uint64_t offset, uint64_t size) const;
  // The range is local.
  Status Read(uint8_t* target, size_t size, uint64_t offset) const;

  // For readers that have looked at the map: once a block is data, its bytes are in the file. The
  // data file, in which a block has its own offset; a read from its page cache; and if a range is
  // in there. Pages may be sent by reference. A write, or a punch under zeros, changes them to
  // newer bytes, for a reader that has no answer yet. Blocks that lose what a failed write left in
  // them were never data.
  int data_fd() const { return data_fd_.get(); }
  bool ReadCached(uint8_t* target, size_t size, uint64_t offset) { return page_cache_.Read(data_fd_.get(), target, size, offset); }
  bool IsResident(uint64_t offset, uint64_t size) { return residency_.All(data_fd_.get(), offset, size); }

  // `edges`: what is below the first block (4096 bytes) and, of more than one, the last (4096
  // bytes), or null. `*done` false: they are needed.
  Status Write(const uint8_t* source, size_t size, uint64_t offset, const uint8_t* edges, bool* done);
  Status Zero(uint64_t offset, uint64_t size, bool allocate, const uint8_t* edges, bool* done);
  // True if a write or zero of the range would be `done` without `edges` at this moment.
  bool NeedsEdges(uint64_t offset, uint64_t size) const;
  Status Trim(uint64_t offset, uint64_t size);
  // The range is whole blocks.
  Status Fill(const uint8_t* source, size_t size, uint64_t offset, uint64_t* stored_bytes);

  // Fails, too, when the files have no name any more: what is flushed to them would go with this
  // process.
  Status Flush();

  // True: a sync of the data failed, here or in an earlier process, and no flush succeeds. `text`
  // is the mark's; `is_marked`: a later process will find it.
  bool HasLost(std::string* text, bool* is_marked);
  // Remembers a loss that another place reports, of which no mark is here.
  void Remember(const std::string& loss_text);
  // Takes for lost what could not be made durable, so flushes succeed again. Makes durable what can
  // still be read.
  Status AcceptLoss();

  // The fault of the files, as far as it shows without writing to them.
  enum class Footing { kFirm, kUnlinked, kReadOnly };
  Footing footing() const;

 private:
  Status Load();
  Status LoadSectors(uint64_t first, uint64_t end, std::vector<uint8_t>* buffer);
  void FindStale();
  uint64_t SectorOffset(uint64_t sector) const { return layout_.records_offset + sector * kSectorBytes; }

  // Space in the map file for the sectors of blocks that are about to change.
  Status Reserve(uint64_t first_block, uint64_t end_block);
  // After a failed write: drops what it left in blocks that are not data.
  void Reclaim(uint64_t first_block, uint64_t end_block);

  // After the bytes were written: the blocks are data, or zero, in the log and in memory.
  Status Change(uint64_t first_block, uint64_t end_block, BlockState state, bool change);
  // Reads what a killed process had not flushed, or could not flush.
  Status Replay(const char* map_path);

  // With the flush mutex held.
  Status FlushLocked();
  void Lose(const Status& status);
  Status SyncMap();
  // Writes what the page cache has of the data, so that it is dirty again.
  Status RewriteResident();
  Status RewritePart(uint64_t offset, uint64_t size);

  Status WriteChanges(OverlayMap::Changes* changes);
  void Punch(const std::vector<BlockRun>& runs);
  void PunchPart(const BlockRun& run);

  OverlayLayout layout_{};
  std::string data_path_;
  std::string map_path_;
  FileIdentity data_identity_;
  FileIdentity map_identity_;
  Descriptor data_fd_;
  Descriptor map_fd_;
  bool is_locked_ = false;
  OverlayClaim claim_;
  OverlayMap map_;
  RangeLock lock_;
  PageCacheReader page_cache_;
  PageResidency residency_;
  // One flag for each page of the map file: true if the page has its space.
  std::vector<std::atomic<bool>> reserved_;

  // Held while a change goes into the log and the map, so that a flush that takes the one leaves
  // the other to the next.
  std::mutex log_mutex_;
  OverlayLog log_;

  std::mutex flush_mutex_;
  // An earlier process may have written data, or the map, and not synced them: the first flush
  // does. Under the flush mutex.
  bool first_flush_ = true;
  // Count of flushes that began plus flushes that ended: odd while one is under way.
  std::atomic<uint64_t> flush_turns_{0};
  // True if the data file was written and not synced. Set before the state that goes with the
  // bytes.
  std::atomic<bool> data_dirty_{false};
  // True if a sync of the data failed. The kernel says so once, and may have dropped what it could
  // not write. Under the flush mutex.
  Status data_lost_;
  // True if a mark says that the map has to be written anew. Under the flush mutex.
  bool map_unsynced_ = false;
  // Under the flush mutex.
  LossTimes times_;
  std::mutex loss_mutex_;
  std::atomic<bool> lost_{false};
  // Under the loss mutex.
  std::string loss_text_;
  bool loss_is_marked_ = false;
};

// Writes a whole map file that did not exist, and makes it durable; leaves none when it fails.
// `header` goes before the sectors.
Status WriteOverlayMap(const char* map_path, const OverlayLayout& layout, const uint8_t* header, size_t header_size, const uint8_t* states,
                       uint64_t block_count);

}  // namespace copse
