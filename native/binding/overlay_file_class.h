// What the two halves of NativeOverlayFile share: argument checks against the file at hand.
#pragma once

#include <node_api.h>

#include <vector>

#include "../core/overlay_file.h"
#include "argument.h"
#include "environment.h"
#include "file_handle.h"

namespace copse {

using OverlayHandle = OpenFile<OverlayFile>;

// The offset at argument 3 of a call over `size` bytes, the range inside the disk.
bool OverlayOffset(const Arguments& arguments, const OverlayFile& file, size_t size, uint64_t* offset);

// `recordsOffset` and `recordSeed` of the object at argument 0.
bool ReadSectorLayout(const Arguments& arguments, OverlayLayout* layout);

// The calls that return promises.
std::vector<napi_property_descriptor> OverlayFileCalls();

}  // namespace copse
