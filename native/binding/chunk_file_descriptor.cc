// NativeChunkFile: methods that load the map, and that let go of the descriptors.
#include "chunk_file_class.h"
#include "exports.h"
#include "file_job.h"
#include "frame.h"

namespace copse {
namespace {

napi_value Load(const Arguments& arguments, ChunkHandle& file) {
  const napi_env env = arguments.env();
  if (file.closing) return Rejected(env, MakeClosedError(env, file.path));
  return Launch(env, file, PoolLane::kRead, nullptr, [core = file.core](Result* result) {
    const char* failed_path;
    result->status = core->Load(&failed_path);
  });
}

// Only the environment's thread hands the core on, so a count of one stays one until the caller
// returns.
bool IsHeld(const ChunkHandle& file) { return file.under_way > 0 || file.core.use_count() > 1; }

napi_value IsOpen(const Arguments& arguments, ChunkHandle& file) { return BooleanValue(arguments.env(), file.core->has_files()); }

napi_value IsInUse(const Arguments& arguments, ChunkHandle& file) { return BooleanValue(arguments.env(), IsHeld(file)); }

napi_value Park(const Arguments& arguments, ChunkHandle& file) {
  const napi_env env = arguments.env();
  if (file.closing || IsHeld(file) || !file.core->has_files()) return Resolved(env, BooleanValue(env, false));
  std::shared_ptr<ChunkFile> open_core = file.core->WithoutFiles();
  open_core.swap(file.core);
  // On the pool: closing a file may wait for a server (NFS).
  return Launch(env, file, PoolLane::kSync, nullptr, [core = std::move(open_core)](Result* result) mutable {
    core.reset();
    result->SetBoolean(true);
  });
}

}  // namespace

std::vector<napi_property_descriptor> ChunkFileDescriptors() {
  return {Method("load", Always<Load>), Method("park", Always<Park>), Getter("isOpen", Accessor<IsOpen>),
          Getter("isInUse", Accessor<IsInUse>)};
}

}  // namespace copse
