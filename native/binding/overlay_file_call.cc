// NativeOverlayFile: methods that return promises.
#include <algorithm>
#include <memory>

#include "exports.h"
#include "file_job.h"
#include "frame.h"
#include "overlay_file_class.h"

namespace copse {
namespace {

// Copies the blocks below the ragged ends of a range: two at most. A copy, because a job holds on
// to one buffer only.
bool ReadEdges(const Arguments& arguments, size_t index, uint64_t offset, uint64_t size, std::unique_ptr<uint8_t[]>* edges) {
  if (!arguments.Has(index)) return true;
  uint8_t* bytes;
  size_t whole;
  if (!arguments.Bytes(index, "edges", &bytes, &whole)) return false;
  const bool one_block = size == 0 || offset / kBlockBytes == (offset + size - 1) / kBlockBytes;
  const size_t wanted = one_block ? kBlockBytes : 2 * kBlockBytes;
  if (whole < wanted) return arguments.RefuseRange("\"edges\" must hold 4096 bytes for one block, 8192 for more");
  edges->reset(new uint8_t[wanted]);
  std::copy(bytes, bytes + wanted, edges->get());
  return true;
}

// Small changes share a thread. A long call is worth a hop to another one, and would hold up the
// others.
const std::shared_ptr<JobQueue>& QueueFor(const OverlayHandle& file, uint64_t size) {
  constexpr uint64_t kSmall = 64 << 10;
  static const std::shared_ptr<JobQueue> none;
  return size <= kSmall ? file.small_changes : none;
}

napi_value Read(const Arguments& arguments, OverlayHandle& file) {
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (!arguments.Slice(0, "target", &target, &size) || !OverlayOffset(arguments, *file.core, size, &offset)) return nullptr;
  if (!file.core->IsLocal(offset, size)) return Resolved(arguments.env(), BooleanValue(arguments.env(), false));
  return Launch(arguments.env(), file, PoolLane::kRead, arguments.at(0), [core = file.core, target, size, offset](Result* result) {
    result->status = core->Read(target, size, offset);
    result->SetBoolean(true);
  });
}

napi_value Write(const Arguments& arguments, OverlayHandle& file) {
  uint8_t* source;
  size_t size;
  uint64_t offset;
  std::unique_ptr<uint8_t[]> edges;
  if (!arguments.Slice(0, "source", &source, &size) || !OverlayOffset(arguments, *file.core, size, &offset) ||
      !ReadEdges(arguments, 4, offset, size, &edges)) {
    return nullptr;
  }
  if (edges == nullptr && file.core->NeedsEdges(offset, size)) return Resolved(arguments.env(), BooleanValue(arguments.env(), false));
  auto write = [core = file.core, source, size, offset, edges = std::move(edges)](Result* result) {
    bool done = false;
    result->status = core->Write(source, size, offset, edges.get(), &done);
    result->SetBoolean(done);
  };
  return Launch(arguments.env(), file, PoolLane::kWrite, arguments.at(0), std::move(write), QueueFor(file, size));
}

napi_value Zero(const Arguments& arguments, OverlayHandle& file) {
  uint64_t offset, size;
  bool allocate;
  std::unique_ptr<uint8_t[]> edges;
  if (!arguments.Range(0, 1, file.core->size_bytes(), &offset, &size) || !arguments.Object(2, "options") ||
      !arguments.BooleanProperty(2, "allocate", false, &allocate) || !ReadEdges(arguments, 3, offset, size, &edges)) {
    return nullptr;
  }
  if (edges == nullptr && file.core->NeedsEdges(offset, size)) return Resolved(arguments.env(), BooleanValue(arguments.env(), false));
  auto zero = [core = file.core, offset, size, allocate, edges = std::move(edges)](Result* result) {
    bool done = false;
    result->status = core->Zero(offset, size, allocate, edges.get(), &done);
    result->SetBoolean(done);
  };
  return Launch(arguments.env(), file, PoolLane::kWrite, nullptr, std::move(zero), QueueFor(file, size));
}

napi_value Trim(const Arguments& arguments, OverlayHandle& file) {
  uint64_t offset, size;
  if (!arguments.Range(0, 1, file.core->size_bytes(), &offset, &size)) return nullptr;
  auto trim = [core = file.core, offset, size](Result* result) { result->status = core->Trim(offset, size); };
  return Launch(arguments.env(), file, PoolLane::kWrite, nullptr, std::move(trim), QueueFor(file, size));
}

napi_value Fill(const Arguments& arguments, OverlayHandle& file) {
  uint8_t* source;
  size_t size;
  uint64_t offset;
  if (!arguments.Slice(0, "source", &source, &size) || !OverlayOffset(arguments, *file.core, size, &offset)) return nullptr;
  if ((offset | size) % kBlockBytes != 0) {
    arguments.RefuseRange("\"offset\" and \"lengthBytes\" must be multiples of 4096");
    return nullptr;
  }
  return Launch(arguments.env(), file, PoolLane::kWrite, arguments.at(0), [core = file.core, source, size, offset](Result* result) {
    uint64_t stored_bytes = 0;
    result->status = core->Fill(source, size, offset, &stored_bytes);
    result->SetNumber(static_cast<double>(stored_bytes));
  });
}

napi_value Flush(const Arguments& arguments, OverlayHandle& file) {
  return FlushOverlay(arguments.env(), file);
}

napi_value AcceptLoss(const Arguments& arguments, OverlayHandle& file) {
  return Launch(arguments.env(), file, PoolLane::kSync, nullptr, [core = file.core](Result* result) { result->status = core->AcceptLoss(); });
}

napi_value Close(const Arguments& arguments, OverlayHandle& file) { return CloseFile(arguments, file); }

}  // namespace

std::vector<napi_property_descriptor> OverlayFileCalls() {
  return {Method("read", Later<Read>), Method("write", Later<Write>), Method("zero", Later<Zero>),   Method("trim", Later<Trim>),
          Method("fill", Later<Fill>), Method("flush", Later<Flush>), Method("acceptLoss", Later<AcceptLoss>), Method("close", Always<Close>)};
}

}  // namespace copse
