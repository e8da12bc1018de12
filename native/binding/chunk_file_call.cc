// NativeChunkFile, its calls that return promises. What a call needs is pinned or taken here, on the caller's thread, so that the order
// of calls in JavaScript is the order in which they get it.
#include <memory>

#include "chunk_file_class.h"
#include "error.h"
#include "exports.h"
#include "file_job.h"

namespace copse {
namespace {

// The receiver of a method; if it is closed, `*rejection` is what to return.
ChunkHandle* Open(const Arguments& arguments, void** wrapped, napi_value* rejection) {
  *wrapped = arguments.Unwrap();
  ChunkHandle* const file = FileOf<ChunkFile>(*wrapped);
  *rejection = nullptr;
  if (file == nullptr || !file->closing) return file;
  *rejection = Rejected(arguments.env(), MakeClosedError(arguments.env(), file->path));
  return nullptr;
}

// As Open, for what needs the descriptors.
ChunkHandle* OpenWithFiles(const Arguments& arguments, void** wrapped, napi_value* rejection) {
  ChunkHandle* const file = Open(arguments, wrapped, rejection);
  const char* failed_path;
  if (file == nullptr) return nullptr;
  const Status status = EnsureFiles(file, &failed_path);
  if (status.ok()) return file;
  *rejection = Rejected(arguments.env(), MakeSystemError(arguments.env(), status, failed_path));
  return nullptr;
}

napi_value RejectedBy(napi_env env, const Status& status, const ChunkHandle& file) {
  return Rejected(env, MakeSystemError(env, status, file.path));
}

napi_value Read(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (file == nullptr) return rejection;
  if (!arguments.Slice(0, "target", &target, &size) || !ReadOffset(arguments, *file->core, size, &offset)) return nullptr;
  PinnedRange range;
  bool readable;
  const Status status = file->core->PinRange(offset, size, &range, &readable);
  if (!status.ok()) return RejectedBy(env, status, *file);
  if (!readable) return ResolvedBoolean(env, false);
  return Launch(env, wrapped, PoolLane::kRead, arguments.at(0), [core = file->core, target, range = std::move(range)](Result* result) mutable {
    bool valid = false;
    result->status = core->Read(range, target, &valid);
    result->SetBoolean(valid);
  });
}

napi_value Store(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  uint32_t index;
  uint8_t* source;
  size_t whole;
  uint64_t start;
  if (file == nullptr) return rejection;
  if (!ChunkIndex(arguments, *file->core, &index) || !arguments.Bytes(1, "source", &source, &whole)) return nullptr;
  if (whole < file->core->map().ChunkLength(index)) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "\"source\" must hold the whole chunk");
    return nullptr;
  }
  if (!arguments.Integer(2, "sourceStart", whole - file->core->map().ChunkLength(index), &start)) return nullptr;
  TakenChunks taken(file->core);
  const Status status = file->core->TakeForStore(index, 1, &taken);
  if (!status.ok()) return RejectedBy(env, status, *file);
  return Launch(env, wrapped, PoolLane::kWrite, arguments.at(1),
                [core = file->core, source = source + start, taken = std::move(taken)](Result* result) mutable {
                  ChunkState state;
                  result->status = core->Store(taken, source, &state);
                  result->SetNumber(static_cast<double>(state));
                });
}

napi_value StoreZero(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  uint64_t first, count;
  if (file == nullptr) return rejection;
  const uint32_t chunk_count = file->core->map().count();
  if (!arguments.Integer(0, "firstIndex", chunk_count, &first) || !arguments.Integer(1, "chunkCount", chunk_count - first, &count)) return nullptr;
  TakenChunks taken(file->core);
  const Status status = file->core->TakeForStore(static_cast<uint32_t>(first), static_cast<uint32_t>(count), &taken);
  if (!status.ok()) return RejectedBy(env, status, *file);
  return Launch(env, wrapped, PoolLane::kWrite, nullptr,
                [core = file->core, taken = std::move(taken)](Result* result) mutable { result->status = core->StoreZero(taken); });
}

napi_value Verify(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  uint32_t index;
  if (file == nullptr) return rejection;
  if (!ChunkIndex(arguments, *file->core, &index)) return nullptr;
  TakenChunks taken(file->core);
  const Status status = file->core->TakeForVerify(index, &taken);
  if (!status.ok()) return RejectedBy(env, status, *file);
  return Launch(env, wrapped, PoolLane::kRead, nullptr, [core = file->core, taken = std::move(taken)](Result* result) mutable {
    bool good = false;
    result->status = core->Verify(taken, &good);
    result->SetBoolean(good);
  });
}

napi_value Evict(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  const uint32_t* indices;
  size_t count;
  if (file == nullptr) return rejection;
  if (!arguments.Words(0, "chunkIndices", &indices, &count)) return nullptr;
  for (size_t i = 0; i < count; i += 1) {
    if (indices[i] < file->core->map().count()) continue;
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "\"chunkIndices\" must be less than the number of chunks");
    return nullptr;
  }
  TakenChunks taken(file->core);
  file->core->TakeForEvict(indices, count, &taken);
  return Launch(env, wrapped, PoolLane::kSync, nullptr, [core = file->core, taken = std::move(taken)](Result* result) mutable {
    uint64_t freed_bytes = 0;
    result->status = core->Evict(taken, &freed_bytes);
    result->SetNumber(static_cast<double>(freed_bytes));
  });
}

napi_value Sync(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  ChunkHandle* const file = OpenWithFiles(arguments, &wrapped, &rejection);
  if (file == nullptr) return rejection;
  return Launch(env, wrapped, PoolLane::kSync, nullptr, [core = file->core](Result* result) { result->status = core->Sync(); });
}

napi_value Close(napi_env env, napi_callback_info info) {
  void* const wrapped = Arguments(env, info).Unwrap();
  return wrapped == nullptr ? nullptr : CloseFile(env, *static_cast<std::shared_ptr<FileHandle>*>(wrapped));
}

}  // namespace

std::vector<napi_property_descriptor> ChunkFileCalls() {
  return {Method("read", Read),   Method("store", Store), Method("storeZero", StoreZero), Method("verify", Verify),
          Method("evict", Evict), Method("sync", Sync),   Method("close", Close)};
}

}  // namespace copse
