// NativeChunkFile: methods for marks, which return at once. They say what guests touched, and where
// the readahead waits for them.
#include "chunk_file_class.h"
#include "exports.h"
#include "frame.h"

namespace copse {
namespace {

napi_value SetMark(const Arguments& arguments, ChunkHandle& file) {
  uint32_t index;
  bool marked;
  if (!ChunkIndex(arguments, *file.core, &index) || !arguments.Boolean(1, "marked", &marked)) return nullptr;
  file.core->map().SetMark(index, marked);
  return arguments.Undefined();
}

napi_value Touch(const Arguments& arguments, ChunkHandle& file) {
  ChunkMap& map = file.core->map();
  uint64_t first, count;
  if (!arguments.Integer(0, "firstIndex", map.count(), &first) || !arguments.Integer(1, "chunkCount", map.count() - first, &count)) return nullptr;
  for (uint64_t index = first; index < first + count; index += 1) map.Touch(static_cast<uint32_t>(index));
  return arguments.Undefined();
}

napi_value IsTouched(const Arguments& arguments, ChunkHandle& file) {
  uint32_t index;
  if (!ChunkIndex(arguments, *file.core, &index)) return nullptr;
  return BooleanValue(arguments.env(), file.core->map().IsTouched(index));
}

}  // namespace

std::vector<napi_property_descriptor> ChunkFileMarks() {
  return {Method("setMark", AtOnce<SetMark>), Method("touch", AtOnce<Touch>), Method("isTouched", AtOnce<IsTouched>)};
}

}  // namespace copse
