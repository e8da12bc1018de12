// peerCredentials, openPeerProcess, hasProcessEnded.
#include "../core/peer_credentials.h"
#include "../core/peer_process.h"
#include "argument.h"
#include "error.h"
#include "exports.h"

namespace copse {

napi_value PeerCredentialsOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t descriptor;
  if (!arguments.Integer(0, "descriptor", INT32_MAX, &descriptor)) return nullptr;
  PeerCredentials credentials;
  const Status status = GetPeerCredentials(static_cast<int>(descriptor), &credentials);
  if (!status.ok()) return ThrowSystemError(env, status, "descriptor " + std::to_string(descriptor));
  napi_value result = nullptr;
  if (napi_create_object(env, &result) != napi_ok) return nullptr;
  napi_set_named_property(env, result, "pid", Int32Value(env, credentials.pid));
  napi_set_named_property(env, result, "uid", Uint32Value(env, credentials.uid));
  napi_set_named_property(env, result, "gid", Uint32Value(env, credentials.gid));
  return result;
}

napi_value OpenPeerProcessOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t descriptor;
  if (!arguments.Integer(0, "descriptor", INT32_MAX, &descriptor)) return nullptr;
  int pidfd;
  const Status status = OpenPeerProcess(static_cast<int>(descriptor), &pidfd);
  if (!status.ok()) return ThrowSystemError(env, status, "descriptor " + std::to_string(descriptor));
  return Int32Value(env, pidfd);
}

napi_value HasProcessEndedOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t pidfd;
  if (!arguments.Integer(0, "pidfd", INT32_MAX, &pidfd)) return nullptr;
  bool ended;
  const Status status = HasProcessEnded(static_cast<int>(pidfd), &ended);
  if (!status.ok()) return ThrowSystemError(env, status, "descriptor " + std::to_string(pidfd));
  return BooleanValue(env, ended);
}

}  // namespace copse
