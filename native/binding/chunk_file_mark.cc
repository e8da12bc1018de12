// NativeChunkFile, its marks: what guests touched, and where the readahead waits for them. They return at once.
#include "argument.h"
#include "chunk_file_class.h"
#include "error.h"
#include "exports.h"

namespace copse {
namespace {

napi_value SetMark(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  uint32_t index;
  bool marked;
  if (file == nullptr || !ChunkIndex(arguments, *file->core, &index) || !arguments.Boolean(1, "marked", &marked)) return nullptr;
  file->core->map().SetMark(index, marked);
  return arguments.Undefined();
}

napi_value Touch(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  if (file == nullptr) return nullptr;
  ChunkMap& map = file->core->map();
  uint64_t first, count;
  if (!arguments.Integer(0, "firstIndex", map.count(), &first) || !arguments.Integer(1, "chunkCount", map.count() - first, &count)) return nullptr;
  for (uint64_t index = first; index < first + count; index += 1) map.Touch(static_cast<uint32_t>(index));
  return arguments.Undefined();
}

napi_value IsTouched(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  uint32_t index;
  if (file == nullptr || !ChunkIndex(arguments, *file->core, &index)) return nullptr;
  napi_value touched = nullptr;
  napi_get_boolean(env, file->core->map().IsTouched(index), &touched);
  return touched;
}

}  // namespace

std::vector<napi_property_descriptor> ChunkFileMarks() {
  return {Method("setMark", SetMark), Method("touch", Touch), Method("isTouched", IsTouched)};
}

}  // namespace copse
