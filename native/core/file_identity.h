// The identity of a file: its device and inode. It tells whether a path still names the same file.
#pragma once

#include <sys/stat.h>

namespace copse {

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;

  static FileIdentity Of(const struct stat& info) { return {info.st_dev, info.st_ino}; }
  bool operator==(const FileIdentity& other) const { return device == other.device && inode == other.inode; }
  bool operator!=(const FileIdentity& other) const { return !(*this == other); }
};

}  // namespace copse
