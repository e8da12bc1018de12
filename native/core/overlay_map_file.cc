// Writes a whole map file at once: for a disk that comes from another node, and for a snapshot.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "overlay_file.h"
#include "overlay_log.h"
#include "overlay_loss.h"
#include "zero_scan.h"

namespace copse {
namespace {

Status WriteSectors(int fd, const OverlayLayout& layout, const uint8_t* states, uint64_t block_count) {
  constexpr uint64_t kBatch = 2048;
  std::vector<uint8_t> buffer;
  const uint64_t sector_count = SectorCount(block_count);
  uint64_t first = 0;
  for (uint64_t sector = 0; sector <= sector_count; sector += 1) {
    const uint64_t at = sector * kSectorBlocks;
    const size_t size = sector < sector_count ? static_cast<size_t>(std::min<uint64_t>(kSectorBlocks, block_count - at)) : 0;
    const size_t gathered = buffer.size() / kSectorBytes;
    const bool base = size == 0 || IsAllZero(states + at, size);
    if (gathered > 0 && (base || gathered == kBatch)) {
      const Status status = WriteFull(fd, buffer.data(), buffer.size(), layout.records_offset + first * kSectorBytes, false);
      if (!status.ok()) return status;
      buffer.clear();
    }
    if (base) continue;
    if (buffer.empty()) first = sector;
    buffer.resize(buffer.size() + kSectorBytes);
    uint8_t* const target = buffer.data() + buffer.size() - kSectorBytes;
    bool any = false;
    for (size_t i = 0; i < size; i += 1) {
      target[i] = OverlayMap::Durable(states[at + i]);
      any = any || target[i] != 0;
    }
    // One with nothing but marks stays zeros, which are base blocks too.
    if (any) SealSector(target, sector, layout.record_seed);
  }
  return {};
}

}  // namespace

Status WriteOverlayMap(const char* map_path, const OverlayLayout& layout, const uint8_t* header, size_t header_size, const uint8_t* states,
                       uint64_t block_count) {
  const Descriptor fd(open(map_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return {errno, "open"};
  OverlayLog::Remove(map_path);
  RemoveOverlayMarks(map_path);
  Status status;
  const uint64_t size = layout.records_offset + SectorCount(block_count) * kSectorBytes;
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) status = {errno, "ftruncate"};
  if (status.ok()) status = WriteFull(fd.get(), header, header_size, 0, false);
  if (status.ok()) status = WriteSectors(fd.get(), layout, states, block_count);
  if (status.ok()) status = SyncData(fd.get());
  if (status.ok()) status = SyncFolderOf(map_path);
  if (!status.ok()) unlink(map_path);
  return status;
}

}  // namespace copse
