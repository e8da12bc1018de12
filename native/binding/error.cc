#include "error.h"

#include <cerrno>
#include <cstring>

#include "value.h"

namespace copse {
namespace {

// Node's (libuv's) name of an errno. EOPNOTSUPP and ENOTSUP are one number on Linux; Node says
// ENOTSUP.
const char* CodeOf(int error) {
  if (error == EOPNOTSUPP) return "ENOTSUP";
  const char* const name = strerrorname_np(error);
  return name != nullptr ? name : "UNKNOWN";
}

}  // namespace

napi_value MakeSystemError(napi_env env, const Status& status, const std::string& path) {
  const std::string code = CodeOf(status.error);
  const std::string message = code + ": " + strerrordesc_np(status.error) + ", " + status.call + " '" + path + "'";
  napi_value error = nullptr;
  napi_value number = nullptr;
  if (napi_create_error(env, TextValue(env, code), TextValue(env, message), &error) != napi_ok) return nullptr;
  napi_create_int32(env, -status.error, &number);
  napi_set_named_property(env, error, "errno", number);
  napi_set_named_property(env, error, "syscall", TextValue(env, status.call));
  napi_set_named_property(env, error, "path", TextValue(env, path));
  return error;
}

napi_value ThrowSystemError(napi_env env, const Status& status, const std::string& path) {
  napi_value error = MakeSystemError(env, status, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

napi_value MakeClosedError(napi_env env, const std::string& path) {
  napi_value error = nullptr;
  napi_create_error(env, TextValue(env, "ERR_CLOSED"), TextValue(env, "'" + path + "' is closed"), &error);
  return error;
}

napi_value ThrowClosedError(napi_env env, const std::string& path) {
  napi_value error = MakeClosedError(env, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

}  // namespace copse
