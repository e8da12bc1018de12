// What the two halves of NativeOverlayFile share: argument checks against the file at hand.
#pragma once

#include <node_api.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../core/overlay_file.h"
#include "argument.h"
#include "environment.h"
#include "file_handle.h"
#include "overlay_flush_call.h"

namespace copse {

constexpr napi_type_tag kOverlayFileTag = {0x51c7e0a94d3b4f82, 0xb86d2f19e07c4a35};

struct OverlayHandle final : FileHandle {
  OverlayHandle(std::string path, std::string map, std::shared_ptr<OverlayFile> file) : FileHandle(std::move(path)), core(std::move(file)) {
    map_path = std::move(map);
  }
  std::shared_ptr<void> Detach() override { return std::move(core); }

  std::shared_ptr<OverlayFile> core;
  // Changes of few bytes.
  const std::shared_ptr<JobQueue> small_changes = std::make_shared<JobQueue>();
  FlushTurns flushes;
  // A call since the last `park` needed the descriptors.
  bool was_used = false;
};

// Opens the overlay's descriptors where they are closed. A status that is not ok is about `*failed_path`.
inline Status EnsureFiles(OverlayHandle* file, const char** failed_path) {
  file->was_used = true;
  return file->core->has_files() ? Status{} : file->core->Unpark(failed_path);
}

// What a method works on; null, with an exception pending, if `this` is no overlay.
inline OverlayHandle* OverlayOf(void* wrapped) {
  return wrapped == nullptr ? nullptr : static_cast<OverlayHandle*>(static_cast<std::shared_ptr<FileHandle>*>(wrapped)->get());
}

// The offset at argument 3 of a call over `size` bytes, the range inside the disk.
bool OverlayOffset(const Arguments& arguments, const OverlayFile& file, size_t size, uint64_t* offset);

// `recordsOffset` and `recordSeed` of the object at argument 0.
bool ReadSectorLayout(const Arguments& arguments, OverlayLayout* layout);

// The calls that return promises.
std::vector<napi_property_descriptor> OverlayFileCalls();

}  // namespace copse
