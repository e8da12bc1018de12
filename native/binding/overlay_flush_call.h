// flush of an overlay: one at a time runs, and whoever asks meanwhile shares the next.
#pragma once

#include <node_api.h>

#include <memory>
#include <vector>

#include "file_handle.h"

namespace copse {

class FlushJob;

// The flushes of one overlay. The environment's thread only.
struct FlushTurns {
  // Submitted and not settled; its environment owns it.
  FlushJob* current = nullptr;
  // Those that came when it had begun, and are served by the one after it.
  std::vector<napi_deferred> waiting;
};

// `file` is an OverlayHandle that is not closing.
napi_value FlushOverlay(napi_env env, const std::shared_ptr<FileHandle>& file);

}  // namespace copse
