// crc32c and isZero: over memory, on the caller's thread.
#include "../core/crc32c.h"
#include "../core/zero_scan.h"
#include "argument.h"
#include "exports.h"

namespace copse {
namespace {

// `start` and `end` at 1 and 2, the whole of the data where they are missing.
bool Part(const Arguments& arguments, uint8_t** data, size_t* size) {
  size_t whole;
  if (!arguments.Bytes(0, "data", data, &whole)) return false;
  uint64_t start = 0;
  uint64_t end = whole;
  if (arguments.Has(2) && !arguments.Integer(2, "end", whole, &end)) return false;
  if (arguments.Has(1) && !arguments.Integer(1, "start", end, &start)) return false;
  *data += start;
  *size = static_cast<size_t>(end - start);
  return true;
}

napi_value Checksum(napi_env env, napi_callback_info info, uint32_t (*function)(uint32_t, const uint8_t*, size_t)) {
  const Arguments arguments(env, info);
  uint8_t* data;
  size_t size;
  uint64_t seed = 0;
  if (!Part(arguments, &data, &size) || (arguments.Has(3) && !arguments.Integer(3, "seed", UINT32_MAX, &seed))) return nullptr;
  napi_value value = nullptr;
  napi_create_uint32(env, function(static_cast<uint32_t>(seed), data, size), &value);
  return value;
}

}  // namespace

napi_value Crc32cOf(napi_env env, napi_callback_info info) { return Checksum(env, info, Crc32c); }

napi_value Crc32cByTableOf(napi_env env, napi_callback_info info) { return Checksum(env, info, Crc32cByTable); }

napi_value IsZeroBytes(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint8_t* data;
  size_t size;
  if (!Part(arguments, &data, &size)) return nullptr;
  napi_value value = nullptr;
  napi_get_boolean(env, IsAllZero(data, size), &value);
  return value;
}

}  // namespace copse
