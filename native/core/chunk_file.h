// A cached image on the disk: the sparse data file, the map file's records, and the states in memory. Any thread; what a call needs
// to own is taken first (ChunkMap) and held by a lease, whose end gives it back whatever happens.
//
// Order of things on the disk:
//   store   data, record (no sync), then the state is published. A crash between the two is caught by the record's checksums.
//   evict   the state becomes absent, records are cleared, the map is synced, and only then holes are punched.
//
// Pages in flight. A socket's queue refers to pages of the data file (sendfile) for as long as its client does not read, when no pin is left. Only what changes those pages
// in place can harm them, and a punched hole does: it zeroes its part of a large folio that reaches beyond it. So
//   who punches       (evict, a store that failed, a rotten chunk, zeros over data) first takes the pages of a chunk that was sent out of the page cache, which the
//                     kernel refuses while anybody refers to them; then they are not the file's any more. Where it refuses, evict leaves the chunk as it was, the others leave the
//                     space to the next store of the chunk or the next eviction of any; what is left when the process ends stays until the image's removal.
//   store over data   writes over pages in flight what they say already: an image does not change. Where they don't (rot), it makes them right.
//   rot               the pages that are in flight are those that the page cache has, so what they say was wrong when it was sent, as far as it was, and stays as it is.
// The descriptors are closed when the last holder of the ChunkFile lets go, so no thread ever reads a closed one.
//
// Descriptors are opened when they are needed. A ChunkFile is either without files, or has both for as long as it lives. The states outlive it: `WithFiles` and
// `WithoutFiles` make another ChunkFile over the same ones. Files that were exchanged meanwhile are not opened (ESTALE): their bytes are not what the states say.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "chunk_map.h"
#include "descriptor.h"
#include "file_io.h"
#include "page_residency.h"
#include "status.h"

namespace copse {

struct ChunkFileLayout {
  uint64_t size_bytes;
  uint32_t chunk_bytes;
  uint64_t records_offset;
  uint32_t record_seed;
  bool trusted;
};

enum class NowResult { kHit = 0, kWouldBlock = 1, kAbsent = 2 };

class ChunkFile;

// A byte range whose chunks were all readable, pinned until this goes.
class PinnedRange {
 public:
  PinnedRange() = default;
  PinnedRange(PinnedRange&&) = default;
  PinnedRange& operator=(PinnedRange&&) = delete;
  ~PinnedRange() { Release(); }
  // Whether everything stayed valid until now. Idempotent: false once it is released.
  bool Release();

 private:
  friend class ChunkFile;
  struct Run {
    uint32_t first;
    uint32_t count;
    bool zero;
  };
  std::shared_ptr<ChunkFile> file_;
  std::vector<Run> runs_;
  uint64_t offset_ = 0;
  size_t size_ = 0;
};

// Chunks that were taken; those not published by the time this goes get back the state that they had.
class TakenChunks {
 public:
  struct Chunk {
    uint32_t index;
    ChunkState before;
    bool published;
  };
  TakenChunks() = default;
  explicit TakenChunks(std::shared_ptr<ChunkFile> file) : file_(std::move(file)) {}
  TakenChunks(TakenChunks&&) = default;
  TakenChunks& operator=(TakenChunks&&) = delete;
  ~TakenChunks();

 private:
  friend class ChunkFile;
  void Publish(Chunk& chunk, ChunkState state);
  void PublishAll(ChunkState state);
  std::shared_ptr<ChunkFile> file_;
  std::vector<Chunk> chunks_;
};

// What all ChunkFiles of one image share.
struct ChunkStates {
  // Which file a path named when it was last looked at; no inode: none yet.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
  };
  ChunkFileLayout layout{};
  std::string data_path;
  std::string map_path;
  ChunkMap map;
  std::mutex identity_mutex;
  Identity data_identity;
  Identity map_identity;
  std::mutex left_mutex;
  // Chunks without data whose space could not be punched then.
  std::vector<uint32_t> left;
  std::atomic<bool> sync_failed{false};
};

class ChunkFile : public std::enable_shared_from_this<ChunkFile> {
 public:
  explicit ChunkFile(std::shared_ptr<ChunkStates> states) : states_(std::move(states)), layout_(states_->layout), map_(states_->map) {}

  // Without files, all chunks absent. Null: there is no memory.
  static std::shared_ptr<ChunkFile> Create(const char* data_path, const char* map_path, const ChunkFileLayout& layout);
  // Created, loaded, and with files. `*failed_path` is the file that the status is about.
  static Status Open(const char* data_path, const char* map_path, const ChunkFileLayout& layout, std::shared_ptr<ChunkFile>* opened,
                     const char** failed_path);

  // Reads the records, passing over holes; a map that is missing has none. Once, before anything else is asked.
  Status Load(const char** failed_path);
  // Files that are missing are made, unless they were there before.
  Status WithFiles(std::shared_ptr<ChunkFile>* opened, const char** failed_path) const;
  std::shared_ptr<ChunkFile> WithoutFiles() const { return std::make_shared<ChunkFile>(states_); }
  bool has_files() const { return data_fd_.valid(); }

  ChunkMap& map() { return map_; }
  uint64_t size_bytes() const { return layout_.size_bytes; }
  bool IsZero(uint64_t offset, uint64_t size) const;

  // A marked chunk is absent to lanes.
  NowResult ReadNow(uint8_t* target, size_t size, uint64_t offset, Reader reader = Reader::kHost);

  // For readers that hold pins: the data file, in which a chunk has its own offset, and whether a range of it is in the page cache.
  int data_fd() const { return data_fd_.get(); }
  uint32_t chunk_bytes() const { return layout_.chunk_bytes; }
  bool IsResident(uint64_t offset, uint64_t size) { return residency_.All(data_fd_.get(), offset, size); }

  // Pins the range; EBUSY when a chunk has no pin left; `*readable` false when some chunk is neither present nor zero.
  Status PinRange(uint64_t offset, size_t size, PinnedRange* range, bool* readable);
  // `*valid` false: a chunk turned out rotten meanwhile, the target is void.
  Status Read(PinnedRange& range, uint8_t* target, bool* valid) const;

  // EBUSY when one of the chunks is busy or pinned; then none is taken.
  Status TakeForStore(uint32_t first, uint32_t count, TakenChunks* taken);
  Status TakeForVerify(uint32_t index, TakenChunks* taken);
  // Takes those that can be taken.
  void TakeForEvict(const uint32_t* indices, size_t count, TakenChunks* taken);

  // The source holds the whole of the (single) taken chunk. On error it is absent.
  Status Store(TakenChunks& taken, const uint8_t* source, ChunkState* state);
  Status StoreZero(TakenChunks& taken);
  // An I/O error leaves the state as it was.
  Status Verify(TakenChunks& taken, bool* good);
  // The chunks are absent afterwards, on error too (some of their space may be in use still then), except those whose pages are in flight: they are as they were.
  Status Evict(TakenChunks& taken, uint64_t* freed_bytes);

  // After a sync failed, of an eviction too, none succeeds: the kernel tells once of what it could not write.
  Status Sync();

 private:
  Status LoadRecords(int fd, uint64_t start, uint64_t end);
  uint64_t RecordOffset(uint32_t index) const { return layout_.records_offset + static_cast<uint64_t>(index) * 8; }
  uint64_t ChunkOffset(uint32_t index) const { return static_cast<uint64_t>(index) * layout_.chunk_bytes; }
  Status WriteRecord(uint32_t index, ChunkState state, uint32_t data_crc) const;
  Status ClearRecords(uint32_t first, uint32_t count) const;
  Status Punch(uint32_t first, uint32_t count) const;
  void Drop(uint32_t index);
  // Whether no page of a taken, unpinned chunk is in flight: from then on until it is stored or read again its space may be punched.
  bool Ground(uint32_t index);
  // Punches a taken, unpinned chunk that is to be zero or absent; one in flight is noted for FreeLeft.
  void Free(uint32_t index);
  void FreeLeft();
  // Gives those in flight back as they were.
  void KeepInFlight(TakenChunks& taken);
  Status SyncOnce(int fd);

  const std::shared_ptr<ChunkStates> states_;
  const ChunkFileLayout layout_;
  ChunkMap& map_;
  Descriptor data_fd_;
  Descriptor map_fd_;
  PageCacheReader page_cache_;
  PageResidency residency_;
};

}  // namespace copse
