// The handle of a NativeOverlayFile, and argument checks that its parts share.
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

struct OverlayHandle final : OpenFile<OverlayFile> {
  OverlayHandle(std::string path, std::string map, std::shared_ptr<OverlayFile> file) : OpenFile(std::move(path), std::move(file)) {
    map_path = std::move(map);
  }
  static constexpr napi_type_tag kTag = {0x51c7e0a94d3b4f82, 0xb86d2f19e07c4a35};
  static OverlayHandle* From(void* wrapped) { return FileIn<OverlayHandle>(wrapped); }

  // Opens the descriptors if they are closed. A status that is not ok is about `*failed_path`.
  Status EnsureFiles(const char** failed_path) {
    was_used = true;
    return core->has_files() ? Status{} : core->Unpark(failed_path);
  }

  // Changes of few bytes, one after the other.
  const std::shared_ptr<JobQueue> small_changes = std::make_shared<JobQueue>();
  FlushTurns flushes;
  // True if a call since the last `park` needed the descriptors.
  bool was_used = false;
};

// The offset at argument 3 of a call over `size` bytes. The range has to lie inside the disk.
bool OverlayOffset(const Arguments& arguments, const OverlayFile& file, size_t size, uint64_t* offset);

// `recordsOffset` and `recordSeed` of the object at argument 0.
bool ReadSectorLayout(const Arguments& arguments, OverlayLayout* layout);

// Its methods that return promises.
std::vector<napi_property_descriptor> OverlayFileCalls();

}  // namespace copse
