// NativeChunkFile, its map and its descriptors: what reads the one, and what lets go of the others.
#include "argument.h"
#include "chunk_file_class.h"
#include "exports.h"
#include "file_job.h"

namespace copse {
namespace {

napi_value Load(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* const wrapped = arguments.Unwrap();
  ChunkHandle* const file = FileOf<ChunkFile>(wrapped);
  if (file == nullptr) return nullptr;
  if (file->closing) return Rejected(env, MakeClosedError(env, file->path));
  return Launch(env, wrapped, PoolLane::kRead, nullptr, [core = file->core](Result* result) {
    const char* failed_path;
    result->status = core->Load(&failed_path);
  });
}

// Only this thread hands the core on, so a count of one stays one until this returns.
bool IsHeld(const ChunkHandle& file) { return file.under_way > 0 || file.core.use_count() > 1; }

napi_value IsOpen(napi_env env, napi_callback_info info) {
  ChunkHandle* const file = OpenChunks(Arguments(env, info));
  napi_value value = nullptr;
  if (file != nullptr) napi_get_boolean(env, file->core->has_files(), &value);
  return value;
}

napi_value IsInUse(napi_env env, napi_callback_info info) {
  ChunkHandle* const file = OpenChunks(Arguments(env, info));
  napi_value value = nullptr;
  if (file != nullptr) napi_get_boolean(env, IsHeld(*file), &value);
  return value;
}

napi_value Park(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* const wrapped = arguments.Unwrap();
  ChunkHandle* const file = FileOf<ChunkFile>(wrapped);
  if (file == nullptr) return nullptr;
  if (file->closing || IsHeld(*file) || !file->core->has_files()) return ResolvedBoolean(env, false);
  std::shared_ptr<ChunkFile> open_core = file->core->WithoutFiles();
  open_core.swap(file->core);
  // Closing may wait for a server (NFS).
  return Launch(env, wrapped, PoolLane::kSync, nullptr, [core = std::move(open_core)](Result* result) mutable {
    core.reset();
    result->SetBoolean(true);
  });
}

}  // namespace

std::vector<napi_property_descriptor> ChunkFileDescriptors() {
  return {Method("load", Load), Method("park", Park), Getter("isOpen", IsOpen), Getter("isInUse", IsInUse)};
}

}  // namespace copse
