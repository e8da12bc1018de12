// An image whose every byte is known, cached in a chunk file of a test's own.
#pragma once

#include <sched.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../../native/core/chunk_file.h"
#include "check.h"

// Never zero, and no two places within 250 pages alike.
inline uint8_t ImageByte(uint64_t offset) { return static_cast<uint8_t>(1 + (offset / 4096 * 7 + offset) % 251); }

inline std::vector<uint8_t> ImageBytes(uint64_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; i += 1) bytes[i] = ImageByte(offset + i);
  return bytes;
}

inline std::shared_ptr<copse::ChunkFile> OpenImage(const std::string& directory, uint64_t size_bytes, uint32_t chunk_bytes) {
  std::shared_ptr<copse::ChunkFile> file;
  const char* failed = "";
  const copse::ChunkFileLayout layout{size_bytes, chunk_bytes, 4096, 7, true};
  CHECK_EQ(copse::ChunkFile::Open((directory + "/data").c_str(), (directory + "/map").c_str(), layout, &file, &failed).error, 0);
  return file;
}

// False: the chunk is busy or pinned.
inline bool StoreChunk(const std::shared_ptr<copse::ChunkFile>& file, uint32_t index) {
  copse::TakenChunks taken(file);
  if (!file->TakeForStore(index, 1, &taken).ok()) return false;
  const std::vector<uint8_t> bytes = ImageBytes(uint64_t{index} * file->chunk_bytes(), file->map().ChunkLength(index));
  copse::ChunkState state;
  CHECK_EQ(file->Store(taken, bytes.data(), &state).error, 0);
  return true;
}

inline void StoreZeros(const std::shared_ptr<copse::ChunkFile>& file, uint32_t index) {
  copse::TakenChunks taken(file);
  CHECK(file->TakeForStore(index, 1, &taken).ok());
  CHECK(file->StoreZero(taken).ok());
}

inline uint64_t EvictChunk(const std::shared_ptr<copse::ChunkFile>& file, uint32_t index) {
  copse::TakenChunks taken(file);
  file->TakeForEvict(&index, 1, &taken);
  uint64_t freed;
  CHECK_EQ(file->Evict(taken, &freed).error, 0);
  return freed;
}

// Evicts a chunk that no test uses. The kernel itself looks at pages at times, and keeps a page for
// that moment.
inline void EvictForSure(const std::shared_ptr<copse::ChunkFile>& file, uint32_t index) {
  while (file->map().state(index) != copse::ChunkState::kAbsent) {
    if (EvictChunk(file, index) == 0) sched_yield();
  }
}

// False: it was there, and wrong.
inline bool VerifyChunk(const std::shared_ptr<copse::ChunkFile>& file, uint32_t index) {
  copse::TakenChunks taken(file);
  if (!file->TakeForVerify(index, &taken).ok()) return true;
  const bool there = file->map().state(index) != copse::ChunkState::kAbsent;
  bool good;
  CHECK_EQ(file->Verify(taken, &good).error, 0);
  return good || !there;
}
