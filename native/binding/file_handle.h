// An open file as JavaScript holds it: the native file, the number of calls under way on it, and
// its close, which waits for them.
//
// The environment's thread only. Jobs share the handle, so a file that JavaScript forgot lives
// until its last call is done.
#pragma once

#include <node_api.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../core/status.h"
#include "argument.h"

namespace copse {

struct FileHandle : std::enable_shared_from_this<FileHandle> {
  explicit FileHandle(std::string path) : path(std::move(path)) {}
  FileHandle(const FileHandle&) = delete;
  virtual ~FileHandle() = default;
  // Gives the native file away. It closes when the last of its holders lets go.
  virtual std::shared_ptr<void> Detach() = 0;
  bool IsClosed() const { return closing; }

  const std::string path;
  // Path of the map of a pair of files; else empty.
  std::string map_path;
  const std::string& PathOf(const Status& status) const { return status.of_map && !map_path.empty() ? map_path : path; }
  // Number of calls that have begun and not settled.
  size_t under_way = 0;
  bool closing = false;
  bool closed = false;
  // Promises of `close` calls.
  std::vector<napi_deferred> closers;
};

template <class Core>
struct OpenFile : FileHandle {
  OpenFile(std::string path, std::shared_ptr<Core> file) : FileHandle(std::move(path)), core(std::move(file)) {}
  std::shared_ptr<void> Detach() override { return std::move(core); }
  std::shared_ptr<Core> core;
};

// The handle in an object that WrapShared<FileHandle> made; null when `wrapped` is. V8 or a type
// tag has checked that it is of this class.
template <class Handle>
Handle* FileIn(void* wrapped) {
  return wrapped == nullptr ? nullptr : static_cast<Handle*>(static_cast<std::shared_ptr<FileHandle>*>(wrapped)->get());
}

// The body of `close()` for every kind of file. Resolves when all calls before it have settled and
// the descriptors are closed. A second close waits for the same end.
napi_value CloseFile(const Arguments& arguments, FileHandle& file);

// One call fewer is under way. The last one begins a close that waits for it.
void CallEnded(napi_env env, FileHandle& file);

}  // namespace copse
