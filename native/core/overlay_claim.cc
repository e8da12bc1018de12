#include "overlay_claim.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

namespace copse {
namespace {

struct Claims {
  std::mutex mutex;
  std::set<std::pair<dev_t, ino_t>> files;
};

// Never destroyed: overlays may outlive static objects.
Claims& AllClaims() {
  static Claims* const claims = new Claims;
  return *claims;
}

}  // namespace

Status LockFile(const Descriptor& fd) {
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return {errno, "flock"};
  }
  return {};
}

OverlayClaim::~OverlayClaim() {
  if (!is_taken_) return;
  Claims& claims = AllClaims();
  const std::lock_guard<std::mutex> guard(claims.mutex);
  claims.files.erase({identity_.device, identity_.inode});
}

Status OverlayClaim::Take(const Descriptor& fd) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return {errno, "fstat"};
  Claims& claims = AllClaims();
  const std::lock_guard<std::mutex> guard(claims.mutex);
  if (!claims.files.insert({info.st_dev, info.st_ino}).second) return {EWOULDBLOCK, "flock"};
  is_taken_ = true;
  identity_ = FileIdentity::Of(info);
  return {};
}

}  // namespace copse
