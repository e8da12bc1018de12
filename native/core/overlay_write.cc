// Changes of an overlay: write, zero, trim, fill. Each holds the range lock over its blocks, does
// all of its I/O, and sets the states last.
#include <algorithm>
#include <cstring>

#include "overlay_file.h"

namespace copse {
namespace {

// The blocks of a byte range that is not empty, and which of them it covers in part only.
struct Span {
  Span(uint64_t offset, uint64_t size)
      : start(offset),
        end(offset + size),
        first(offset / kBlockBytes),
        last((offset + size - 1) / kBlockBytes),
        head_ragged(start % kBlockBytes != 0 || (first == last && end % kBlockBytes != 0)),
        tail_ragged(first != last && end % kBlockBytes != 0) {}
  // The whole blocks: empty when whole_first >= whole_end.
  uint64_t whole_first() const { return head_ragged ? first + 1 : first; }
  uint64_t whole_end() const { return tail_ragged || (head_ragged && first == last) ? last : last + 1; }
  // How many bytes of the range are in its first block.
  size_t head_bytes() const { return static_cast<size_t>(std::min(end, (first + 1) * kBlockBytes) - start); }
  size_t tail_bytes() const { return static_cast<size_t>(end - last * kBlockBytes); }

  const uint64_t start, end;
  const uint64_t first, last;
  const bool head_ragged, tail_ragged;
};

bool IsBelow(BlockState state) { return state == BlockState::kBase || state == BlockState::kRemote; }

// A block that is written in part. Data is written in place; anything else becomes a whole block
// around the part.
struct Edge {
  bool whole = false;
  uint8_t bytes[kBlockBytes];

  // False when what is below is needed and not given.
  bool Prepare(BlockState state, const uint8_t* below) {
    whole = state != BlockState::kData;
    if (state == BlockState::kZero) memset(bytes, 0, sizeof(bytes));
    if (!IsBelow(state)) return true;
    if (below != nullptr) memcpy(bytes, below, sizeof(bytes));
    return below != nullptr;
  }
};

struct Edges {
  Edge head, tail;

  bool Prepare(const OverlayMap& map, const Span& span, const uint8_t* below) {
    return (!span.head_ragged || head.Prepare(map.state(span.first), below)) &&
           (!span.tail_ragged || tail.Prepare(map.state(span.last), below == nullptr ? nullptr : below + kBlockBytes));
  }
};

}  // namespace

bool OverlayFile::NeedsEdges(uint64_t offset, uint64_t size) const {
  if (size == 0) return false;
  const Span span(offset, size);
  return (span.head_ragged && IsBelow(map_.state(span.first))) || (span.tail_ragged && IsBelow(map_.state(span.last)));
}

Status OverlayFile::Write(const uint8_t* source, size_t size, uint64_t offset, const uint8_t* below, bool* done) {
  *done = true;
  if (size == 0) return {};
  const Span span(offset, size);
  const RangeLock::Guard guard(lock_, span.first, span.last + 1);
  Edges edges;
  *done = edges.Prepare(map_, span, below);
  if (!*done) return {};
  if (!map_.All(span.first, span.last + 1, BlockState::kData)) {
    const Status reserved = Reserve(span.first, span.last + 1);
    if (!reserved.ok()) return reserved;
  }
  iovec parts[3];
  int count = 0;
  uint64_t at = offset;
  iovec middle{const_cast<uint8_t*>(source), size};
  if (edges.head.whole) {
    memcpy(edges.head.bytes + offset % kBlockBytes, source, span.head_bytes());
    parts[count++] = {edges.head.bytes, kBlockBytes};
    at = span.first * kBlockBytes;
    middle = {const_cast<uint8_t*>(source) + span.head_bytes(), size - span.head_bytes()};
  }
  if (edges.tail.whole) {
    middle.iov_len -= span.tail_bytes();
    memcpy(edges.tail.bytes, source + size - span.tail_bytes(), span.tail_bytes());
  }
  if (middle.iov_len > 0) parts[count++] = middle;
  if (edges.tail.whole) parts[count++] = {edges.tail.bytes, kBlockBytes};
  Status status = WriteParts(data_fd_.get(), parts, count, at);
  data_dirty_.store(true, std::memory_order_release);
  if (status.ok()) status = Change(span.first, span.last + 1, BlockState::kData, true);
  if (!status.ok()) Reclaim(span.first, span.last + 1);
  return status;
}

Status OverlayFile::Zero(uint64_t offset, uint64_t size, bool allocate, const uint8_t* below, bool* done) {
  *done = true;
  if (size == 0) return {};
  const Span span(offset, size);
  const RangeLock::Guard guard(lock_, span.first, span.last + 1);
  Edges edges;
  *done = edges.Prepare(map_, span, below);
  if (!*done) return {};
  Status status = Reserve(span.first, span.last + 1);
  if (!status.ok()) return status;
  // Zeros in a block of zeros change nothing, unless it shall have its space.
  const bool head = span.head_ragged && (allocate || map_.state(span.first) != BlockState::kZero);
  const bool tail = span.tail_ragged && (allocate || map_.state(span.last) != BlockState::kZero);
  const uint64_t whole_first = span.whole_first(), whole_end = span.whole_end();
  const bool whole = whole_first < whole_end;
  const int fd = data_fd_.get();
  if (head && edges.head.whole) {
    memset(edges.head.bytes + offset % kBlockBytes, 0, span.head_bytes());
    status = WriteFull(fd, edges.head.bytes, kBlockBytes, span.first * kBlockBytes, false);
  } else if (head) {
    status = WriteZeros(fd, span.head_bytes(), span.start);
  }
  if (status.ok() && tail && edges.tail.whole) {
    memset(edges.tail.bytes, 0, span.tail_bytes());
    status = WriteFull(fd, edges.tail.bytes, kBlockBytes, span.last * kBlockBytes, false);
  } else if (status.ok() && tail) {
    status = WriteZeros(fd, span.tail_bytes(), span.last * kBlockBytes);
  }
  if (status.ok() && whole && allocate) status = ZeroAllocated(fd, (whole_end - whole_first) * kBlockBytes, whole_first * kBlockBytes);
  if (head || tail || allocate) data_dirty_.store(true, std::memory_order_release);
  if (status.ok() && head) status = Change(span.first, span.first + 1, BlockState::kData, true);
  if (status.ok() && tail) status = Change(span.last, span.last + 1, BlockState::kData, true);
  if (status.ok() && whole) status = Change(whole_first, whole_end, allocate ? BlockState::kData : BlockState::kZero, true);
  if (!status.ok()) Reclaim(span.first, span.last + 1);
  return status;
}

Status OverlayFile::Trim(uint64_t offset, uint64_t size) {
  const uint64_t first = (offset + kBlockBytes - 1) / kBlockBytes;
  const uint64_t end = (offset + size) / kBlockBytes;
  if (first >= end) return {};
  const RangeLock::Guard guard(lock_, first, end);
  const Status status = Reserve(first, end);
  return status.ok() ? Change(first, end, BlockState::kZero, true) : status;
}

Status OverlayFile::Fill(const uint8_t* source, size_t size, uint64_t offset, uint64_t* stored_bytes) {
  *stored_bytes = 0;
  const uint64_t first = offset / kBlockBytes;
  const uint64_t end = first + size / kBlockBytes;
  if (first == end) return {};
  const RangeLock::Guard guard(lock_, first, end);
  for (uint64_t block = first; block < end;) {
    BlockState state;
    const uint64_t run_end = map_.RunEnd(block, end, &state);
    if (state == BlockState::kRemote) {
      Status status = Reserve(block, run_end);
      if (!status.ok()) return status;
      const size_t run_bytes = static_cast<size_t>((run_end - block) * kBlockBytes);
      status = WriteFull(data_fd_.get(), source + (block - first) * kBlockBytes, run_bytes, block * kBlockBytes, false);
      data_dirty_.store(true, std::memory_order_release);
      if (status.ok()) status = Change(block, run_end, BlockState::kData, false);
      if (!status.ok()) {
        Reclaim(block, run_end);
        return status;
      }
      *stored_bytes += run_bytes;
    }
    block = run_end;
  }
  return {};
}

Status OverlayFile::Change(uint64_t first_block, uint64_t end_block, BlockState state, bool change) {
  const std::lock_guard<std::mutex> hold(log_mutex_);
  if (!map_.All(first_block, end_block, state)) {
    const Status status = log_.Append(first_block, end_block, state);
    if (!status.ok()) return {status.error, status.call, true};
  }
  map_.Set(first_block, end_block, state, change);
  return {};
}

void OverlayFile::Reclaim(uint64_t first_block, uint64_t end_block) {
  for (uint64_t block = first_block; block < end_block;) {
    BlockState state;
    const uint64_t run_end = map_.RunEnd(block, end_block, &state);
    uint64_t punched_start, punched_end;
    // The map on the disk may still say that zeros are data. They wait for a flush, as after a
    // trim.
    if (state == BlockState::kZero) map_.SetStale(block, run_end);
    if (IsBelow(state)) PunchPages(data_fd_.get(), block * kBlockBytes, run_end * kBlockBytes, &punched_start, &punched_end);
    block = run_end;
  }
}

}  // namespace copse
