#include "value.h"

#include <cstring>

namespace copse {
namespace {

template <class Number>
napi_value ArrayValue(napi_env env, napi_typedarray_type type, const std::vector<Number>& numbers) {
  napi_value memory;
  napi_value array = nullptr;
  void* data = nullptr;
  const size_t size = numbers.size() * sizeof(Number);
  if (napi_create_arraybuffer(env, size, &data, &memory) != napi_ok) return nullptr;
  if (size > 0) memcpy(data, numbers.data(), size);
  napi_create_typedarray(env, type, numbers.size(), memory, 0, &array);
  return array;
}

}  // namespace

napi_value TextValue(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value Float64ArrayValue(napi_env env, const std::vector<double>& numbers) {
  return ArrayValue(env, napi_float64_array, numbers);
}

napi_value Uint32ArrayValue(napi_env env, const std::vector<uint32_t>& numbers) {
  return ArrayValue(env, napi_uint32_array, numbers);
}

}  // namespace copse
