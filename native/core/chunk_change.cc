// Changes of a chunk file: store, verify and evict, with their records and space.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include "chunk_file.h"
#include "chunk_record.h"
#include "crc32c.h"
#include "zero_scan.h"

namespace copse {
namespace {

bool HadData(ChunkState state) { return state == ChunkState::kPresent || state == ChunkState::kUnverified; }

// Calls `visit(first, count)` for each maximal run of consecutive indices.
template <class Visit>
Status ForEachRun(const std::vector<TakenChunks::Chunk>& sorted, Visit visit) {
  for (size_t i = 0; i < sorted.size();) {
    size_t next = i + 1;
    while (next < sorted.size() && sorted[next].index == sorted[next - 1].index + 1) next += 1;
    const Status status = visit(sorted[i].index, static_cast<uint32_t>(next - i));
    if (!status.ok()) return status;
    i = next;
  }
  return {};
}

}  // namespace

Status ChunkFile::WriteRecord(uint32_t index, ChunkState state, uint32_t data_crc) const {
  uint8_t record[kChunkRecordBytes];
  EncodeChunkRecord({state, data_crc}, index, layout_.record_seed, record);
  return WriteFull(map_fd_.get(), record, sizeof(record), RecordOffset(index), false);
}

Status ChunkFile::ClearRecords(uint32_t first, uint32_t count) const {
  return WriteZeros(map_fd_.get(), uint64_t{count} * kChunkRecordBytes, RecordOffset(first));
}

Status ChunkFile::Punch(uint32_t first, uint32_t count) const {
  // The last chunk may end inside a page, behind which the file has nothing: that page goes as a
  // whole.
  const uint64_t page = PageBytes();
  uint64_t end = ChunkOffset(first) + uint64_t{count} * layout_.chunk_bytes;
  if (end > layout_.size_bytes) end = (layout_.size_bytes + page - 1) / page * page;
  uint64_t punched_start, punched_end;
  return PunchPages(data_fd_.get(), ChunkOffset(first), end, &punched_start, &punched_end);
}

bool ChunkFile::Ground(uint32_t index) {
  if (!map_.IsSent(index)) return true;
  if (!residency_.Drop(data_fd_.get(), ChunkOffset(index), map_.ChunkLength(index))) return false;
  map_.ClearSent(index);
  return true;
}

void ChunkFile::Free(uint32_t index) {
  if (Ground(index)) {
    Punch(index, 1);
    return;
  }
  const std::lock_guard<std::mutex> guard(states_->left_mutex);
  states_->left.push_back(index);
}

void ChunkFile::FreeLeft() {
  std::vector<uint32_t> left;
  {
    const std::lock_guard<std::mutex> guard(states_->left_mutex);
    left.swap(states_->left);
  }
  for (const uint32_t index : left) {
    ChunkState before;
    if (map_.TakeForStore(index, &before)) {
      // A reader that finds it absent meanwhile fetches it again.
      if (!HadData(before)) Free(index);
      map_.Publish(index, before);
    } else {
      const std::lock_guard<std::mutex> guard(states_->left_mutex);
      states_->left.push_back(index);
    }
  }
}

// Best effort: no record and no space for a chunk that is absent, taken and unpinned. Without sync:
// a record that survives a crash is checked against the data before it counts.
void ChunkFile::Drop(uint32_t index) {
  if (ClearRecords(index, 1).ok()) Free(index);
}

Status ChunkFile::Store(TakenChunks& taken, const uint8_t* source, ChunkState* state) {
  TakenChunks::Chunk& chunk = taken.chunks_[0];
  const uint32_t length = map_.ChunkLength(chunk.index);
  const bool zero = IsAllZero(source, length);
  *state = zero ? ChunkState::kZero : ChunkState::kPresent;
  Status status;
  if (!zero) status = WriteFull(data_fd_.get(), source, length, ChunkOffset(chunk.index), false);
  if (status.ok()) status = WriteRecord(chunk.index, *state, zero ? 0 : Crc32c(0, source, length));
  if (!status.ok()) {
    Drop(chunk.index);
    *state = ChunkState::kAbsent;
  } else if (zero && HadData(chunk.before)) {
    Free(chunk.index);
  }
  taken.Publish(chunk, *state);
  return status;
}

Status ChunkFile::StoreZero(TakenChunks& taken) {
  constexpr uint32_t kBatch = 4096;
  uint8_t records[kBatch * kChunkRecordBytes];
  std::vector<TakenChunks::Chunk>& chunks = taken.chunks_;
  for (size_t first = 0; first < chunks.size(); first += kBatch) {
    const size_t count = std::min<size_t>(kBatch, chunks.size() - first);
    for (size_t i = 0; i < count; i += 1) {
      EncodeChunkRecord({ChunkState::kZero, 0}, chunks[first + i].index, layout_.record_seed, records + i * kChunkRecordBytes);
    }
    const Status status = WriteFull(map_fd_.get(), records, count * kChunkRecordBytes, RecordOffset(chunks[first].index), false);
    if (!status.ok()) {
      // The chunks before are zeros already; nothing is promised about this batch and the rest.
      if (ClearRecords(chunks[first].index, static_cast<uint32_t>(count)).ok()) {
        for (size_t i = first; i < first + count; i += 1) {
          if (HadData(chunks[i].before)) Free(chunks[i].index);
        }
      }
      for (size_t i = first; i < chunks.size(); i += 1) {
        if (i >= first + count && HadData(chunks[i].before)) Drop(chunks[i].index);
        taken.Publish(chunks[i], ChunkState::kAbsent);
      }
      return status;
    }
    for (size_t i = first; i < first + count; i += 1) {
      if (HadData(chunks[i].before)) Free(chunks[i].index);
      taken.Publish(chunks[i], ChunkState::kZero);
    }
  }
  return {};
}

Status ChunkFile::Verify(TakenChunks& taken, bool* good) {
  TakenChunks::Chunk& chunk = taken.chunks_[0];
  *good = chunk.before == ChunkState::kZero;
  if (!HadData(chunk.before)) {
    taken.Publish(chunk, chunk.before);
    return {};
  }
  const uint32_t length = map_.ChunkLength(chunk.index);
  const std::unique_ptr<uint8_t[]> data(new (std::nothrow) uint8_t[length]);
  uint8_t raw[kChunkRecordBytes];
  Status status = data ? Status{} : Status{ENOMEM, "malloc"};
  if (status.ok()) status = ReadFull(map_fd_.get(), raw, sizeof(raw), RecordOffset(chunk.index), AtEnd::kZeros);
  if (status.ok()) status = ReadFull(data_fd_.get(), data.get(), length, ChunkOffset(chunk.index), AtEnd::kZeros);
  if (!status.ok()) {
    taken.Publish(chunk, chunk.before);
    return status;
  }
  const ChunkRecord record = DecodeChunkRecord(raw, chunk.index, layout_.record_seed);
  *good = record.state == ChunkState::kPresent && record.data_crc == Crc32c(0, data.get(), length);
  if (*good) {
    taken.Publish(chunk, ChunkState::kPresent);
    return {};
  }
  // The chunk is still taken, so no thread stores it, and absent, so no thread pins it. Space goes
  // only if no reader is left: the next store uses it otherwise.
  map_.Unreadable(chunk.index);
  if (map_.PinCount(chunk.index) == 0) {
    Drop(chunk.index);
  } else {
    ClearRecords(chunk.index, 1);
  }
  taken.Publish(chunk, ChunkState::kAbsent);
  return {};
}

void ChunkFile::KeepInFlight(TakenChunks& taken) {
  auto in_flight = [this, &taken](TakenChunks::Chunk& chunk) {
    if (Ground(chunk.index)) return false;
    taken.Publish(chunk, chunk.before);
    return true;
  };
  taken.chunks_.erase(std::remove_if(taken.chunks_.begin(), taken.chunks_.end(), in_flight), taken.chunks_.end());
}

Status ChunkFile::Evict(TakenChunks& taken, uint64_t* freed_bytes) {
  std::vector<TakenChunks::Chunk>& chunks = taken.chunks_;
  std::sort(chunks.begin(), chunks.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  *freed_bytes = 0;
  KeepInFlight(taken);
  Status status = ForEachRun(chunks, [this](uint32_t first, uint32_t count) { return ClearRecords(first, count); });
  if (status.ok() && !chunks.empty()) status = SyncOnce(map_fd_.get());
  if (status.ok()) {
    status = ForEachRun(chunks, [this](uint32_t first, uint32_t count) { return Punch(first, count); });
  }
  for (const TakenChunks::Chunk& chunk : chunks) {
    if (status.ok() && HadData(chunk.before)) *freed_bytes += map_.ChunkLength(chunk.index);
  }
  taken.PublishAll(ChunkState::kAbsent);
  FreeLeft();
  return status;
}

}  // namespace copse
