// NativeChunkFile: methods that return promises. What a call needs is pinned or taken here, on the
// caller's thread, so that calls get it in the order in which JavaScript made them.
#include <memory>

#include "chunk_file_class.h"
#include "exports.h"
#include "file_job.h"
#include "frame.h"

namespace copse {
namespace {

napi_value RejectedBy(const Arguments& arguments, const Status& status, const ChunkHandle& file) {
  return Rejected(arguments.env(), MakeSystemError(arguments.env(), status, file.path));
}

napi_value Read(const Arguments& arguments, ChunkHandle& file) {
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (!arguments.Slice(0, "target", &target, &size) || !ReadOffset(arguments, *file.core, size, &offset)) return nullptr;
  PinnedRange range;
  bool readable;
  const Status status = file.core->PinRange(offset, size, &range, &readable);
  if (!status.ok()) return RejectedBy(arguments, status, file);
  if (!readable) return Resolved(arguments.env(), BooleanValue(arguments.env(), false));
  return Launch(arguments.env(), file, PoolLane::kRead, arguments.at(0), [core = file.core, target, range = std::move(range)](Result* result) mutable {
    bool valid = false;
    result->status = core->Read(range, target, &valid);
    result->SetBoolean(valid);
  });
}

napi_value Store(const Arguments& arguments, ChunkHandle& file) {
  uint32_t index;
  uint8_t* source;
  size_t whole;
  uint64_t start;
  if (!ChunkIndex(arguments, *file.core, &index) || !arguments.Bytes(1, "source", &source, &whole)) return nullptr;
  if (whole < file.core->map().ChunkLength(index)) {
    arguments.RefuseRange("\"source\" must hold the whole chunk");
    return nullptr;
  }
  if (!arguments.Integer(2, "sourceStart", whole - file.core->map().ChunkLength(index), &start)) return nullptr;
  TakenChunks taken(file.core);
  const Status status = file.core->TakeForStore(index, 1, &taken);
  if (!status.ok()) return RejectedBy(arguments, status, file);
  return Launch(arguments.env(), file, PoolLane::kWrite, arguments.at(1),
                [core = file.core, source = source + start, taken = std::move(taken)](Result* result) mutable {
                  ChunkState state;
                  result->status = core->Store(taken, source, &state);
                  result->SetNumber(static_cast<double>(state));
                });
}

napi_value StoreZero(const Arguments& arguments, ChunkHandle& file) {
  uint64_t first, count;
  const uint32_t chunk_count = file.core->map().count();
  if (!arguments.Integer(0, "firstIndex", chunk_count, &first) || !arguments.Integer(1, "chunkCount", chunk_count - first, &count)) return nullptr;
  TakenChunks taken(file.core);
  const Status status = file.core->TakeForStore(static_cast<uint32_t>(first), static_cast<uint32_t>(count), &taken);
  if (!status.ok()) return RejectedBy(arguments, status, file);
  return Launch(arguments.env(), file, PoolLane::kWrite, nullptr,
                [core = file.core, taken = std::move(taken)](Result* result) mutable { result->status = core->StoreZero(taken); });
}

napi_value Verify(const Arguments& arguments, ChunkHandle& file) {
  uint32_t index;
  if (!ChunkIndex(arguments, *file.core, &index)) return nullptr;
  TakenChunks taken(file.core);
  const Status status = file.core->TakeForVerify(index, &taken);
  if (!status.ok()) return RejectedBy(arguments, status, file);
  return Launch(arguments.env(), file, PoolLane::kRead, nullptr, [core = file.core, taken = std::move(taken)](Result* result) mutable {
    bool good = false;
    result->status = core->Verify(taken, &good);
    result->SetBoolean(good);
  });
}

napi_value Evict(const Arguments& arguments, ChunkHandle& file) {
  const uint32_t* indices;
  size_t count;
  if (!arguments.Words(0, "chunkIndices", &indices, &count)) return nullptr;
  for (size_t i = 0; i < count; i += 1) {
    if (indices[i] < file.core->map().count()) continue;
    arguments.RefuseRange("\"chunkIndices\" must be less than the number of chunks");
    return nullptr;
  }
  TakenChunks taken(file.core);
  file.core->TakeForEvict(indices, count, &taken);
  return Launch(arguments.env(), file, PoolLane::kSync, nullptr, [core = file.core, taken = std::move(taken)](Result* result) mutable {
    uint64_t freed_bytes = 0;
    result->status = core->Evict(taken, &freed_bytes);
    result->SetNumber(static_cast<double>(freed_bytes));
  });
}

napi_value Sync(const Arguments& arguments, ChunkHandle& file) {
  return Launch(arguments.env(), file, PoolLane::kSync, nullptr, [core = file.core](Result* result) { result->status = core->Sync(); });
}

napi_value Close(const Arguments& arguments, ChunkHandle& file) { return CloseFile(arguments, file); }

}  // namespace

std::vector<napi_property_descriptor> ChunkFileCalls() {
  return {Method("read", Later<Read>),   Method("store", Later<Store>), Method("storeZero", Later<StoreZero>), Method("verify", Later<Verify>),
          Method("evict", Later<Evict>), Method("sync", Later<Sync>),   Method("close", Always<Close>)};
}

}  // namespace copse
