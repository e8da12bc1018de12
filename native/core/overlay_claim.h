// The claim to a data file as an overlay: one holder at a time, even while its descriptors are
// closed.
//
// The lock of the file (flock) keeps other processes away, and goes with the descriptor. The claim
// keeps the rest of this process away, and lives as long as its holder. While descriptors are
// closed, the lock of the state directory keeps other daemons away.
#pragma once

#include "descriptor.h"
#include "file_identity.h"
#include "status.h"

namespace copse {

// EWOULDBLOCK: this process or another one has the file open as an overlay.
Status LockFile(const Descriptor& fd);

class OverlayClaim {
 public:
  OverlayClaim() = default;
  OverlayClaim(const OverlayClaim&) = delete;
  ~OverlayClaim();
  // EWOULDBLOCK: this process has it already.
  Status Take(const Descriptor& fd);

 private:
  bool is_taken_ = false;
  FileIdentity identity_;
};

}  // namespace copse
