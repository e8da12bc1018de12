// What the parts of NativeChunkFile share: argument checks against the file at hand.
#pragma once

#include <node_api.h>

#include <vector>

#include "../core/chunk_file.h"
#include "argument.h"
#include "environment.h"
#include "error.h"
#include "file_handle.h"

namespace copse {

constexpr napi_type_tag kChunkFileTag = {0x3b7a51e9d2c84f60, 0xa1e4d7c2935f8b06};

using ChunkHandle = OpenFile<ChunkFile>;

// The receiver of a call that returns at once: null, with an exception pending, when it is none or closed.
inline ChunkHandle* OpenChunks(const Arguments& arguments) {
  ChunkHandle* const file = FileOf<ChunkFile>(arguments.Unwrap());
  if (file != nullptr && file->closing) {
    ThrowClosedError(arguments.env(), file->path);
    return nullptr;
  }
  return file;
}

// Opens the file's descriptors where they are closed. A status that is not ok is about `*failed_path`.
inline Status EnsureFiles(ChunkHandle* file, const char** failed_path) {
  if (file->core->has_files()) return {};
  std::shared_ptr<ChunkFile> opened;
  const Status status = file->core->WithFiles(&opened, failed_path);
  if (status.ok()) file->core = std::move(opened);
  return status;
}

// The offset at argument 3 of a read of `size` bytes, the range inside the image.
bool ReadOffset(const Arguments& arguments, const ChunkFile& file, size_t size, uint64_t* offset);

// The chunk index at argument 0.
bool ChunkIndex(const Arguments& arguments, ChunkFile& file, uint32_t* index);

// The calls that return promises.
std::vector<napi_property_descriptor> ChunkFileCalls();
// Those for descriptors: load, park.
std::vector<napi_property_descriptor> ChunkFileDescriptors();
// Those for marks.
std::vector<napi_property_descriptor> ChunkFileMarks();

}  // namespace copse
