// Who has a data file as an overlay: one holder at a time, also while the holder's descriptors are closed.
//
// The lock of the file (flock) keeps other processes away, and goes with the descriptor. The claim keeps this process away, and lives as long as its holder. Between the two,
// while descriptors are closed, the lock of the state directory keeps other daemons away.
#pragma once

#include "descriptor.h"
#include "file_identity.h"
#include "status.h"

namespace copse {

// EWOULDBLOCK: somebody else, in this process or another, has the file open as an overlay.
Status LockFile(const Descriptor& fd);

class OverlayClaim {
 public:
  OverlayClaim() = default;
  OverlayClaim(const OverlayClaim&) = delete;
  ~OverlayClaim();
  // EWOULDBLOCK: somebody else in this process has it.
  Status Take(const Descriptor& fd);

 private:
  bool is_taken_ = false;
  FileIdentity identity_;
};

}  // namespace copse
