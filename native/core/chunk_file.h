// A cached image on the disk: the sparse data file, the records of the map file, and the states in
// memory. Any thread may call it. A call first takes what it needs to own (ChunkMap), and holds it
// by a lease whose end gives it back on every path.
//
// Order of writes:
//   store   data, record (no sync), then the state is published. The checksum of the record catches
//           a crash between the two.
//   evict   the state becomes absent, records are cleared, the map is synced, and only then holes
//           are punched.
//
// Pages in flight. sendfile(2) puts references to pages of the data file into the socket's queue.
// They stay there while the client does not read, after the pin has gone. Only a change of those
// pages in place can harm them. A punched hole is one: it zeroes its part of a large folio that
// reaches beyond it. So:
//   punching          An eviction, a failed store, a rotten chunk and zeros over data punch. Each
//                     of them first takes the pages of a chunk that was sent out of the page cache;
//                     the pages no longer belong to the file then. The kernel refuses that while
//                     the pages are referred to. An eviction leaves the chunk as it was in that
//                     case. The others leave the space to the next store of the chunk or the next
//                     eviction of any chunk. Space that is left when the process ends stays until
//                     the image is removed.
//   store over data   The store writes what the pages in flight say already, because an image does
//                     not change. Over rotten pages it makes them right.
//   rot               The pages in flight are those of the page cache, so they were wrong already
//                     when they were sent, and stay as they are.
// The descriptors are closed when the last holder of the ChunkFile lets go, so no thread reads a
// closed one.
//
// Descriptors are opened when they are needed. A ChunkFile has no files, or both for as long as it
// lives. The states outlive it: `WithFiles` and `WithoutFiles` make another ChunkFile over the same
// states. A file that was exchanged meanwhile is not opened (ESTALE), because the states say
// nothing about its bytes.
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

// A byte range of readable chunks. The destructor unpins them.
class PinnedRange {
 public:
  PinnedRange() = default;
  PinnedRange(PinnedRange&&) = default;
  PinnedRange& operator=(PinnedRange&&) = delete;
  ~PinnedRange() { Release(); }
  // True if everything stayed valid until now. Idempotent: false once it is released.
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

// Chunks that were taken. The destructor gives those that were not published the state that they
// had.
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

// The part that all ChunkFiles of one image share.
struct ChunkStates {
  // The file that a path named when it was last opened; no inode: none yet.
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
  // Chunks without data whose space could not be punched yet.
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

  // Reads the records, passing over holes; a map that is missing has none. Once, before anything
  // else is asked.
  Status Load(const char** failed_path);
  // Makes missing files, unless they were there before.
  Status WithFiles(std::shared_ptr<ChunkFile>* opened, const char** failed_path) const;
  std::shared_ptr<ChunkFile> WithoutFiles() const { return std::make_shared<ChunkFile>(states_); }
  bool has_files() const { return data_fd_.valid(); }

  ChunkMap& map() { return map_; }
  uint64_t size_bytes() const { return layout_.size_bytes; }
  bool IsZero(uint64_t offset, uint64_t size) const;

  // Lanes see a marked chunk as absent.
  NowResult ReadNow(uint8_t* target, size_t size, uint64_t offset, Reader reader = Reader::kHost);

  // For readers that hold pins: the data file, in which a chunk has its own offset, and whether a
  // range of it is in the page cache.
  int data_fd() const { return data_fd_.get(); }
  uint32_t chunk_bytes() const { return layout_.chunk_bytes; }
  bool IsResident(uint64_t offset, uint64_t size) { return residency_.All(data_fd_.get(), offset, size); }

  // Pins the range; EBUSY when a chunk has no pin left; `*readable` false when some chunk is
  // neither present nor zero.
  Status PinRange(uint64_t offset, size_t size, PinnedRange* range, bool* readable);
  // `*valid` false: a chunk turned out rotten meanwhile, the target is void.
  Status Read(PinnedRange& range, uint8_t* target, bool* valid) const;

  // EBUSY when one of the chunks is busy or pinned; then none is taken.
  Status TakeForStore(uint32_t first, uint32_t count, TakenChunks* taken);
  Status TakeForVerify(uint32_t index, TakenChunks* taken);
  // Takes the chunks that are neither busy nor pinned.
  void TakeForEvict(const uint32_t* indices, size_t count, TakenChunks* taken);

  // The source holds the whole of the (single) taken chunk. On error it is absent.
  Status Store(TakenChunks& taken, const uint8_t* source, ChunkState* state);
  Status StoreZero(TakenChunks& taken);
  // An I/O error leaves the state as it was.
  Status Verify(TakenChunks& taken, bool* good);
  // The chunks are absent afterwards, on error too (some of their space may be in use still then),
  // except those whose pages are in flight: they are as they were.
  Status Evict(TakenChunks& taken, uint64_t* freed_bytes);

  // No sync succeeds after one has failed, in an eviction too: the kernel reports only once what it
  // could not write.
  Status Sync();

 private:
  Status LoadRecords(int fd, uint64_t start, uint64_t end);
  uint64_t RecordOffset(uint32_t index) const { return layout_.records_offset + static_cast<uint64_t>(index) * 8; }
  uint64_t ChunkOffset(uint32_t index) const { return static_cast<uint64_t>(index) * layout_.chunk_bytes; }
  Status WriteRecord(uint32_t index, ChunkState state, uint32_t data_crc) const;
  Status ClearRecords(uint32_t first, uint32_t count) const;
  Status Punch(uint32_t first, uint32_t count) const;
  void Drop(uint32_t index);
  // True if no page of a taken, unpinned chunk is in flight. Its space may be punched from then on,
  // until it is stored or read again.
  bool Ground(uint32_t index);
  // Punches a taken, unpinned chunk that becomes zero or absent. A chunk in flight is noted for
  // FreeLeft.
  void Free(uint32_t index);
  void FreeLeft();
  // Gives the chunks in flight back as they were.
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
