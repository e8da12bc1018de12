// The standard headers that most files include, precompiled once for each variant
// (test/native/Makefile). A source includes what it needs all the same: node-gyp compiles the core
// without this.
#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>
