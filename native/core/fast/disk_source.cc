// Reads of a disk: run by run of the overlay's map, and base runs from the image below.
//
// The blocks of a range are looked at one after the other, while other threads write them. Each is
// as it was at some moment of the read, which is what a disk promises. No block becomes base or
// remote again, and a chunk below is pinned or copied before it is believed. So a block is never
// read from a place that it had left before the read began.
#include <algorithm>
#include <cstring>

#include "range_source.h"

namespace copse {
namespace {

// Calls `visit(state, offset, size)` for each run of blocks in one state, as far as it is true.
template <class Visit>
bool ForEachRun(const OverlayMap& map, uint64_t offset, uint64_t size, Visit visit) {
  const uint64_t end = offset + size, end_block = (end - 1) / kBlockBytes + 1;
  while (offset < end) {
    BlockState state;
    const uint64_t run_end = std::min(end, map.RunEnd(offset / kBlockBytes, end_block, &state) * kBlockBytes);
    if (!visit(state, offset, run_end - offset)) return false;
    offset = run_end;
  }
  return true;
}

}  // namespace

DiskSource::DiskSource(std::shared_ptr<OverlayFile> overlay, const std::shared_ptr<ChunkFile>& base, std::shared_ptr<const AnswerLease> lease)
    : overlay_(std::move(overlay)), base_(base ? std::make_unique<ImageSource>(base) : nullptr), lease_(std::move(lease)) {}

uint64_t DiskSource::Inside(uint64_t offset, uint64_t size) const {
  return base_ && offset < base_->size_bytes() ? std::min(size, base_->size_bytes() - offset) : 0;
}

bool DiskSource::IsZero(uint64_t offset, uint64_t size) const {
  return ForEachRun(overlay_->map(), offset, size, [this](BlockState state, uint64_t at, uint64_t run) {
    if (state != BlockState::kBase) return state == BlockState::kZero;
    const uint64_t inside = Inside(at, run);
    return inside == 0 || base_->IsZero(at, inside);
  });
}

bool DiskSource::IsHere(uint64_t offset, uint64_t size) const {
  return ForEachRun(overlay_->map(), offset, size, [this](BlockState state, uint64_t at, uint64_t run) {
    if (state != BlockState::kBase) return state != BlockState::kRemote;
    const uint64_t inside = Inside(at, run);
    return inside == 0 || base_->IsHere(at, inside);
  });
}

Found DiskSource::ReadRun(BlockState state, uint8_t* target, size_t size, uint64_t offset) {
  if (state == BlockState::kRemote) return Found::kUp;
  if (state == BlockState::kData) return overlay_->ReadCached(target, size, offset) ? Found::kHit : Found::kCold;
  const size_t inside = state == BlockState::kBase ? static_cast<size_t>(Inside(offset, size)) : 0;
  memset(target + inside, 0, size - inside);
  return inside == 0 ? Found::kHit : base_->ReadNow(target, inside, offset);
}

Found DiskSource::ReadNow(uint8_t* target, size_t size, uint64_t offset) {
  // A long range that can't be a hit should not be copied half way first; one that is cold in one
  // place may be absent in another.
  const bool one_block = offset / kBlockBytes == (offset + size - 1) / kBlockBytes;
  if (!one_block && !IsHere(offset, size)) return Found::kUp;
  Found found = Found::kHit;
  ForEachRun(overlay_->map(), offset, size, [this, target, offset, &found](BlockState state, uint64_t at, uint64_t run) {
    found = ReadRun(state, target + (at - offset), static_cast<size_t>(run), at);
    return found == Found::kHit;
  });
  return found;
}

Found DiskSource::Plan(uint64_t offset, uint64_t size, ReadPlan* plan) {
  const bool here = IsHere(offset, size);
  if (here) plan->overlay_ = overlay_;
  const bool added = here && ForEachRun(overlay_->map(), offset, size, [this, plan](BlockState state, uint64_t at, uint64_t run) {
    if (state == BlockState::kRemote) return false;
    if (state == BlockState::kData) return plan->Add(overlay_->data_fd(), at, run);
    const uint64_t inside = state == BlockState::kBase ? Inside(at, run) : 0;
    return (inside == 0 || base_->AddTo(at, inside, plan)) && plan->AddZeros(run - inside);
  });
  if (added) return plan->MayBeSent() ? Found::kHit : Found::kCold;
  plan->Clear();
  return Found::kUp;
}

bool DiskSource::CanWrite(uint64_t offset, uint64_t size) const { return (offset | size) % kBlockBytes == 0; }

Status DiskSource::Write(const uint8_t* source, size_t size, uint64_t offset) {
  bool done;
  return overlay_->Write(source, size, offset, nullptr, &done);
}

}  // namespace copse
