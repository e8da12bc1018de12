// The holders of pins and busy marks, which give them back: PinnedRange and TakenChunks.
#include "chunk_file.h"

#include <cerrno>

namespace copse {

bool PinnedRange::Release() {
  if (!file_) return false;
  bool valid = true;
  for (const Run& run : runs_) {
    for (uint32_t i = 0; !run.zero && i < run.count; i += 1) {
      if (!file_->map().Unpin(run.first + i)) valid = false;
    }
  }
  file_.reset();
  return valid;
}

TakenChunks::~TakenChunks() {
  if (!file_) return;
  for (Chunk& chunk : chunks_) {
    if (!chunk.published) Publish(chunk, chunk.before);
  }
}

void TakenChunks::Publish(Chunk& chunk, ChunkState state) {
  chunk.published = true;
  file_->map().Publish(chunk.index, state);
}

void TakenChunks::PublishAll(ChunkState state) {
  for (Chunk& chunk : chunks_) Publish(chunk, state);
}

Status ChunkFile::PinRange(uint64_t offset, size_t size, PinnedRange* range, bool* readable) {
  *readable = true;
  range->file_ = shared_from_this();
  range->offset_ = offset;
  range->size_ = size;
  if (size == 0) return {};
  const uint32_t last = static_cast<uint32_t>((offset + size - 1) / layout_.chunk_bytes);
  for (uint32_t index = static_cast<uint32_t>(offset / layout_.chunk_bytes); index <= last; index += 1) {
    const Pin pin = map_.TryPin(index);
    if (pin == Pin::kAbsent || pin == Pin::kSaturated) {
      *readable = false;
      return pin == Pin::kAbsent ? Status{} : Status{EBUSY, "read"};
    }
    const bool zero = pin == Pin::kZero;
    if (!range->runs_.empty() && range->runs_.back().zero == zero) {
      range->runs_.back().count += 1;
    } else {
      range->runs_.push_back({index, 1, zero});
    }
  }
  return {};
}

Status ChunkFile::TakeForStore(uint32_t first, uint32_t count, TakenChunks* taken) {
  taken->chunks_.reserve(count);
  for (uint32_t i = 0; i < count; i += 1) {
    ChunkState before;
    if (!map_.TakeForStore(first + i, &before)) {
      for (TakenChunks::Chunk& chunk : taken->chunks_) taken->Publish(chunk, chunk.before);
      taken->chunks_.clear();
      return {EBUSY, "store"};
    }
    taken->chunks_.push_back({first + i, before, false});
  }
  return {};
}

Status ChunkFile::TakeForVerify(uint32_t index, TakenChunks* taken) {
  ChunkState before;
  if (!map_.TakeForVerify(index, &before)) return {EBUSY, "verify"};
  taken->chunks_.push_back({index, before, false});
  return {};
}

void ChunkFile::TakeForEvict(const uint32_t* indices, size_t count, TakenChunks* taken) {
  for (size_t i = 0; i < count; i += 1) {
    ChunkState before;
    if (map_.TakeForEvict(indices[i], &before)) taken->chunks_.push_back({indices[i], before, false});
  }
}

}  // namespace copse
