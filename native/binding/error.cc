#include "error.h"

#include <cerrno>
#include <cstring>

namespace copse {
namespace {

// Node's (libuv's) name of an errno. EOPNOTSUPP and ENOTSUP are one number on Linux; Node says ENOTSUP.
const char* CodeOf(int error) {
  if (error == EOPNOTSUPP) return "ENOTSUP";
  const char* const name = strerrorname_np(error);
  return name != nullptr ? name : "UNKNOWN";
}

napi_value String(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

}  // namespace

napi_value MakeSystemError(napi_env env, const Status& status, const std::string& path) {
  const std::string code = CodeOf(status.error);
  const std::string message = code + ": " + strerrordesc_np(status.error) + ", " + status.call + " '" + path + "'";
  napi_value error = nullptr;
  napi_value number = nullptr;
  if (napi_create_error(env, String(env, code), String(env, message), &error) != napi_ok) return nullptr;
  napi_create_int32(env, -status.error, &number);
  napi_set_named_property(env, error, "errno", number);
  napi_set_named_property(env, error, "syscall", String(env, status.call));
  napi_set_named_property(env, error, "path", String(env, path));
  return error;
}

napi_value ThrowSystemError(napi_env env, const Status& status, const std::string& path) {
  napi_value error = MakeSystemError(env, status, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

napi_value MakeClosedError(napi_env env, const std::string& path) {
  napi_value error = nullptr;
  napi_create_error(env, String(env, "ERR_CLOSED"), String(env, "'" + path + "' is closed"), &error);
  return error;
}

napi_value ThrowClosedError(napi_env env, const std::string& path) {
  napi_value error = MakeClosedError(env, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

}  // namespace copse
