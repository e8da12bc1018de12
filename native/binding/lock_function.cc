// lockFile and unlockFile. unlockFile closes only descriptors that lockFile returned.
#include "../core/file_lock.h"
#include "argument.h"
#include "environment.h"
#include "error.h"
#include "exports.h"

namespace copse {

napi_value LockFile(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  std::string path;
  if (!arguments.Text(0, "path", &path)) return nullptr;
  Descriptor lock;
  bool held;
  const Status status = TryLockFile(path.c_str(), &lock, &held);
  if (!status.ok()) return ThrowSystemError(env, status, path);
  const int number = held ? lock.get() : -1;
  if (held) Environment::Of(env)->locks.emplace(number, std::move(lock));
  return Int32Value(env, number);
}

napi_value UnlockFile(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t number;
  if (!arguments.Integer(0, "descriptor", INT32_MAX, &number)) return nullptr;
  if (Environment::Of(env)->locks.erase(static_cast<int>(number)) == 0) {
    arguments.RefuseRange("\"descriptor\" is not one that lockFile returned, or was given back already");
    return nullptr;
  }
  return arguments.Undefined();
}

}  // namespace copse
