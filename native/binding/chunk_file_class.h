// The handle of a NativeChunkFile, and argument checks that its parts share.
#pragma once

#include <node_api.h>

#include <memory>
#include <utility>
#include <vector>

#include "../core/chunk_file.h"
#include "argument.h"
#include "file_handle.h"

namespace copse {

struct ChunkHandle final : OpenFile<ChunkFile> {
  using OpenFile::OpenFile;
  static constexpr napi_type_tag kTag = {0x3b7a51e9d2c84f60, 0xa1e4d7c2935f8b06};
  static ChunkHandle* From(void* wrapped) { return FileIn<ChunkHandle>(wrapped); }

  // Opens the descriptors if they are closed. A status that is not ok is about `*failed_path`.
  Status EnsureFiles(const char** failed_path) {
    if (core->has_files()) return {};
    std::shared_ptr<ChunkFile> opened;
    const Status status = core->WithFiles(&opened, failed_path);
    if (status.ok()) core = std::move(opened);
    return status;
  }
};

// The offset at argument 3 of a read of `size` bytes. The range has to lie inside the image.
bool ReadOffset(const Arguments& arguments, const ChunkFile& file, size_t size, uint64_t* offset);

// The chunk index at argument 0.
bool ChunkIndex(const Arguments& arguments, ChunkFile& file, uint32_t* index);

// Its methods that return promises.
std::vector<napi_property_descriptor> ChunkFileCalls();
// Its methods for descriptors: load, park.
std::vector<napi_property_descriptor> ChunkFileDescriptors();
// Its methods for marks.
std::vector<napi_property_descriptor> ChunkFileMarks();

}  // namespace copse
