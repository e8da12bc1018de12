// setUserTimeout.
#include "../core/socket_option.h"
#include "argument.h"
#include "error.h"
#include "exports.h"

namespace copse {

napi_value SetUserTimeoutOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t descriptor;
  uint64_t timeout_ms;
  if (!arguments.Integer(0, "descriptor", INT32_MAX, &descriptor) || !arguments.Integer(1, "timeoutMs", INT32_MAX, &timeout_ms)) {
    return nullptr;
  }
  const Status status = SetUserTimeout(static_cast<int>(descriptor), static_cast<uint32_t>(timeout_ms));
  return status.ok() ? arguments.Undefined() : ThrowSystemError(env, status, "descriptor " + std::to_string(descriptor));
}

}  // namespace copse
