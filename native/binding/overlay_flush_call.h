// The flushes of one overlay: one runs at a time, and the calls that come meanwhile share the next.
#pragma once

#include <node_api.h>

#include <vector>

namespace copse {

class FlushJob;
struct OverlayHandle;

// The environment's thread only.
struct FlushTurns {
  // The flush that was submitted and has not settled; its environment owns it.
  FlushJob* current = nullptr;
  // Promises of calls that came when it had begun. The next flush serves them.
  std::vector<napi_deferred> waiting;
};

// `file` is not closing.
napi_value FlushOverlay(napi_env env, OverlayHandle& file);

}  // namespace copse
