// The addon's classes and functions, for addon.cc to register.
#pragma once

#include <node_api.h>

namespace copse {

bool DefineBlockFileClass(napi_env env);
bool DefineChunkFileClass(napi_env env);
bool DefineOverlayFileClass(napi_env env);
bool DefineLaneClass(napi_env env);
bool DefineLeaseClass(napi_env env);

napi_value OpenBlockFile(napi_env env, napi_callback_info info);
napi_value OpenChunkFile(napi_env env, napi_callback_info info);
napi_value OpenOverlayFile(napi_env env, napi_callback_info info);
napi_value OpenLane(napi_env env, napi_callback_info info);
napi_value OpenLease(napi_env env, napi_callback_info info);
napi_value WriteOverlayMapFile(napi_env env, napi_callback_info info);
napi_value Crc32cOf(napi_env env, napi_callback_info info);
napi_value Crc32cByTableOf(napi_env env, napi_callback_info info);
napi_value IsZeroBytes(napi_env env, napi_callback_info info);
napi_value DiscardMemory(napi_env env, napi_callback_info info);
napi_value TrimMemory(napi_env env, napi_callback_info info);
napi_value LockFile(napi_env env, napi_callback_info info);
napi_value UnlockFile(napi_env env, napi_callback_info info);
napi_value SendDatagramTo(napi_env env, napi_callback_info info);
napi_value PeerCredentialsOf(napi_env env, napi_callback_info info);
napi_value SetUserTimeoutOf(napi_env env, napi_callback_info info);
napi_value OpenPeerProcessOf(napi_env env, napi_callback_info info);
napi_value HasProcessEndedOf(napi_env env, napi_callback_info info);

inline napi_property_descriptor Method(const char* name, napi_callback method) {
  return {name, nullptr, method, nullptr, nullptr, nullptr, napi_default_method, nullptr};
}

inline napi_property_descriptor Getter(const char* name, napi_callback getter) {
  return {name, nullptr, nullptr, getter, nullptr, nullptr, napi_enumerable, nullptr};
}

}  // namespace copse
