// JavaScript values from C++ ones. Null, with an exception pending, when Node-API refuses.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace copse {

inline napi_value UndefinedValue(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

inline napi_value BooleanValue(napi_env env, bool boolean) {
  napi_value value = nullptr;
  napi_get_boolean(env, boolean, &value);
  return value;
}

// For small numbers on hot paths: V8 allocates nothing for them.
inline napi_value Int32Value(napi_env env, int32_t number) {
  napi_value value = nullptr;
  napi_create_int32(env, number, &value);
  return value;
}

inline napi_value Uint32Value(napi_env env, uint32_t number) {
  napi_value value = nullptr;
  napi_create_uint32(env, number, &value);
  return value;
}

// Exact up to 2^53.
inline napi_value NumberValue(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value TextValue(napi_env env, const std::string& text);
napi_value Float64ArrayValue(napi_env env, const std::vector<double>& numbers);
napi_value Uint32ArrayValue(napi_env env, const std::vector<uint32_t>& numbers);

}  // namespace copse
