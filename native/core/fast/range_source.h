// The files that hold an export's bytes, as far as native threads may answer from them: an image's
// chunk file, or a disk's overlay over one.
//
// All or nothing: a range is not for this path if any byte of it is absent, unverified, marked
// (ChunkMap::Mark), or on another node. Any thread may call it; there are no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../chunk_file.h"
#include "../overlay_file.h"
#include "../status.h"
#include "answer_lease.h"

namespace copse {

enum class Found {
  kHit,   // done
  kCold,  // all of it lies in local files, and some must come from the disk
  kUp,    // for TypeScript to answer
};

// The places of a range, in order, without gaps. Its pins are held, and its files stay open, until
// Clear. One thread uses it at a time; it may move to another.
class ReadPlan {
 public:
  struct Part {
    int fd;  // -1: zeros
    uint64_t offset;
    uint64_t size;
  };
  static constexpr size_t kMostParts = 64;
  ReadPlan() = default;
  ReadPlan(ReadPlan&&) = default;
  ~ReadPlan() { Clear(); }

  const std::vector<Part>& parts() const { return parts_; }
  // False: what was read or sent meanwhile is void (a chunk turned out rotten). Empties the plan,
  // and keeps its memory.
  bool Clear();

 private:
  friend class ImageSource;
  friend class DiskSource;
  // Chunks [first, end).
  struct Pins {
    uint32_t first;
    uint32_t end;
  };
  // False: there are too many. Parts that adjoin in one file become one.
  bool Add(int fd, uint64_t offset, uint64_t size);
  bool AddZeros(uint64_t size) { return size == 0 || Add(-1, 0, size); }
  void AddPin(uint32_t index);
  // True if all parts are in the page cache. Marks the pinned chunks as sent then.
  bool MayBeSent();

  std::vector<Part> parts_;
  std::vector<Pins> pins_;
  std::shared_ptr<ChunkFile> image_;
  std::shared_ptr<OverlayFile> overlay_;
};

class RangeSource {
 public:
  virtual ~RangeSource() = default;
  virtual uint64_t size_bytes() const = 0;
  // The lease under which it is answered from; null: none is needed.
  virtual const std::shared_ptr<const AnswerLease>& lease() const {
    static const std::shared_ptr<const AnswerLease> none;
    return none;
  }

  // All of [offset, offset + size) lies inside size_bytes(), size > 0; as for the calls below.
  // Copies the range if it is in the page cache; the target is undefined unless it is a hit.
  virtual Found ReadNow(uint8_t* target, size_t size, uint64_t offset) = 0;
  // True if all of it is known to be zeros, without a look at the disk.
  virtual bool IsZero(uint64_t offset, uint64_t size) const = 0;
  // Finds the parts, pins them, marks them as used and touched. The plan is empty before, and after
  // kUp (as it is for a range in more than kMostParts parts). kHit: all were in the page cache a
  // moment ago, and may be sent by reference until Clear (see "pages in flight" in chunk_file.h).
  // kCold: they may only be copied.
  virtual Found Plan(uint64_t offset, uint64_t size, ReadPlan* plan) = 0;
  // Whole blocks only (kBlockBytes). False: not for this path.
  virtual bool CanWrite(uint64_t offset, uint64_t size) const { return false; }
  virtual Status Write(const uint8_t* source, size_t size, uint64_t offset) { return {1, "write"}; }
};

// A cached image.
class ImageSource final : public RangeSource {
 public:
  explicit ImageSource(std::shared_ptr<ChunkFile> file) : file_(std::move(file)) {}
  uint64_t size_bytes() const override { return file_->size_bytes(); }
  Found ReadNow(uint8_t* target, size_t size, uint64_t offset) override;
  bool IsZero(uint64_t offset, uint64_t size) const override;
  Found Plan(uint64_t offset, uint64_t size, ReadPlan* plan) override;

 private:
  friend class DiskSource;
  // True if all of it is present or zero, and unmarked, at this moment.
  bool IsHere(uint64_t offset, uint64_t size) const;
  // Appends to the plan. False: kUp.
  bool AddTo(uint64_t offset, uint64_t size, ReadPlan* plan);
  const std::shared_ptr<ChunkFile> file_;
};

// A disk: its overlay, over an image that may be smaller (zeros beyond its end) or absent (zeros).
class DiskSource final : public RangeSource {
 public:
  DiskSource(std::shared_ptr<OverlayFile> overlay, const std::shared_ptr<ChunkFile>& base, std::shared_ptr<const AnswerLease> lease = nullptr);
  const std::shared_ptr<const AnswerLease>& lease() const override { return lease_; }
  uint64_t size_bytes() const override { return overlay_->size_bytes(); }
  Found ReadNow(uint8_t* target, size_t size, uint64_t offset) override;
  bool IsZero(uint64_t offset, uint64_t size) const override;
  Found Plan(uint64_t offset, uint64_t size, ReadPlan* plan) override;
  bool CanWrite(uint64_t offset, uint64_t size) const override;
  Status Write(const uint8_t* source, size_t size, uint64_t offset) override;

 private:
  // How much of a range lies inside the image.
  uint64_t Inside(uint64_t offset, uint64_t size) const;
  bool IsHere(uint64_t offset, uint64_t size) const;
  // Reads a run of blocks in one state.
  Found ReadRun(BlockState state, uint8_t* target, size_t size, uint64_t offset);
  const std::shared_ptr<OverlayFile> overlay_;
  const std::unique_ptr<ImageSource> base_;
  const std::shared_ptr<const AnswerLease> lease_;
};

}  // namespace copse
