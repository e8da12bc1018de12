// The result of a system call: an errno, and the call that gave it. Cheap to return, never thrown.
#pragma once

namespace copse {

struct Status {
  int error = 0;          // errno, 0 when all went well
  const char* call = "";  // static name of the failing call, for people
  bool of_map = false;    // for a pair of files: true if the map failed, not the data
  bool ok() const { return error == 0; }
};

}  // namespace copse
