// The threads of a lane, as capabilities of clang's thread safety analysis (../thread_safety.h).
//
// A function with REQUIRES(kLaneThread) runs on the lane's own thread alone, and a member with
// GUARDED_BY(kLaneThread) is used there alone. The analysis follows this from ThreadMain, which
// says which thread it is, through every call. It costs nothing at run time and checks nothing
// there.
#pragma once

#include "../thread_safety.h"

namespace copse {

class CAPABILITY("thread") ThreadRole {
 public:
  // Tells the analysis that the caller runs on this thread.
  void Assert() const ASSERTS(this) {}
};

// The thread that Lane::Start makes: it reads the socket, answers, and hands up.
inline constexpr ThreadRole kLaneThread{};
// The one thread that calls the lane from above: JavaScript's.
inline constexpr ThreadRole kHostThread{};

}  // namespace copse
