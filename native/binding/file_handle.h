// An open file as JavaScript holds it: the native file, how many calls on it are under way, and its close, which waits for them.
// The environment's thread only. Jobs share the handle, so a file that JavaScript forgot lives until its last call is done.
#pragma once

#include <node_api.h>

#include <memory>
#include <string>
#include <vector>

#include "../core/status.h"

namespace copse {

struct FileHandle {
  explicit FileHandle(std::string path) : path(std::move(path)) {}
  FileHandle(const FileHandle&) = delete;
  virtual ~FileHandle() = default;
  // Gives the native file away; it closes when the last of its holders lets go.
  virtual std::shared_ptr<void> Detach() = 0;

  const std::string path;
  // The map's path of a pair of files; else empty.
  std::string map_path;
  const std::string& PathOf(const Status& status) const { return status.of_map && !map_path.empty() ? map_path : path; }
  size_t under_way = 0;
  bool closing = false;
  bool closed = false;
  std::vector<napi_deferred> closers;
};

template <class Core>
struct OpenFile final : FileHandle {
  OpenFile(std::string path, std::shared_ptr<Core> file) : FileHandle(std::move(path)), core(std::move(file)) {}
  std::shared_ptr<void> Detach() override { return std::move(core); }
  std::shared_ptr<Core> core;
};

// `close()` of every kind of file: resolves when all calls before it have settled and the descriptors are closed. Closing again waits
// for the same end.
napi_value CloseFile(napi_env env, const std::shared_ptr<FileHandle>& file);

// One call fewer under way; the last one begins a close that waits for it.
void CallEnded(napi_env env, const std::shared_ptr<FileHandle>& file);

// Makes the JavaScript object of a file. The class's constructor is Construct.
napi_value WrapFile(napi_env env, napi_ref file_class, const napi_type_tag& tag, std::shared_ptr<FileHandle> file);

// Makes an object of a class that DefineFileClass has defined. `native` is the object's, or finalized when null is returned, with an exception pending.
napi_value WrapNative(napi_env env, napi_ref native_class, void* native, napi_finalize finalize);

// Defines a class whose objects only WrapFile and WrapNative make.
bool DefineFileClass(napi_env env, const char* name, const std::vector<napi_property_descriptor>& properties, napi_ref* file_class);

// What a method works on; null, with an exception pending, if `this` is no file.
template <class Core>
OpenFile<Core>* FileOf(void* wrapped) {
  return wrapped == nullptr ? nullptr : static_cast<OpenFile<Core>*>(static_cast<std::shared_ptr<FileHandle>*>(wrapped)->get());
}

}  // namespace copse
