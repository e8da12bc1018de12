// The changes of an overlay's blocks since its map file was last written. A process that follows a
// killed one reads them: the guest does not repeat writes that were answered, and its next flush
// covers them, in whichever process.
//
// Bytes that were written survive the process in the page cache, and this log does the same for the
// states. It is never synced. After a restart of the machine it says nothing: writes that were not
// flushed may be lost then.
//
// Two files take turns, so that a flush leaves one to the changes that come while it runs. A file
// has a header of 64 bytes (magic, boot id, inode and birth of the map file, turn), then records of
// 16 bytes (block, state, count, turn) up to the first of another turn. Records are applied in the
// order in which the blocks changed, so replaying what the map has already changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "descriptor.h"
#include "file_identity.h"
#include "overlay_map.h"
#include "status.h"

namespace copse {

// One thread at a time.
class OverlayLog {
 public:
  // Removes logs of an earlier map file of that name, before a new map file is made.
  static void Remove(const char* map_path);

  struct Record {
    uint64_t first;
    uint64_t count;
    BlockState state;
  };

  // Opens or creates MAP_PATH.log0 and .log1, and reads what they say of this map file: empty
  // unless they were written since the machine started.
  Status Open(const char* map_path, int map_fd, std::vector<Record>* records);
  // Closes the descriptors, while nothing in the files is needed; and opens them again.
  void Close();
  Status OpenAgain(const char* map_path);
  // Before a change is answered. ENOSPC: what is to become data is refused, as for want of its own
  // space. A trim goes on without: the log says nothing then before the next flush begins. Fails
  // otherwise only when it could neither be told this nor be made to say nothing.
  Status Append(uint64_t first, uint64_t end, BlockState state);
  // A flush begins: what comes from now on goes to the other file, unless that one is needed still.
  void Turn();
  // Voids the files. After a gap an earlier change would win over a later one, and data whose sync
  // failed may be gone.
  Status Silence();
  // That flush has succeeded: what came before it is in the map.
  void Settle() { other_needed_ = false; }

 private:
  struct File {
    Descriptor fd;
    FileIdentity identity;
    uint32_t turn = 0;
    uint64_t end = 0;  // 0: no header of this turn yet
  };
  static std::string PathOf(const char* map_path, size_t index) { return std::string(map_path) + (index == 0 ? ".log0" : ".log1"); }
  Status Begin();
  Status Write(uint64_t first, uint64_t end, BlockState state);
  void Read(File* file, std::vector<Record>* records);

  File files_[2];
  size_t current_ = 0;
  uint32_t last_turn_ = 0;
  // True if the other file has changes that the map does not.
  bool other_needed_ = false;
  bool silent_ = false;
  char boot_id_[36] = {};
  uint64_t map_inode_ = 0;
  uint64_t map_birth_ns_ = 0;
};

}  // namespace copse
