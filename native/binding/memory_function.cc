// crc32c and isZero: over memory, on the caller's thread. And what gives memory back to the system.
#include <malloc.h>
#include <sys/mman.h>

#include "../core/crc32c.h"
#include "../core/zero_scan.h"
#include "../core/file_io.h"
#include "argument.h"
#include "environment.h"
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

napi_value DiscardMemory(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint8_t* data;
  size_t size;
  if (!arguments.Bytes(0, "data", &data, &size)) return nullptr;
  const uintptr_t page = PageBytes();
  const uintptr_t start = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + size) / page * page;
  // Anonymous memory: what is read next there is zeros. Where the kernel refuses, the pages stay.
  if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  return arguments.Undefined();
}

namespace {

class TrimJob final : public Job {
 public:
  explicit TrimJob(napi_deferred deferred) : deferred_(deferred) {}

 protected:
  void Work() override { malloc_trim(0); }
  void Settle(napi_env env) override {
    napi_value nothing;
    if (napi_get_undefined(env, &nothing) == napi_ok) napi_resolve_deferred(env, deferred_, nothing);
  }

 private:
  const napi_deferred deferred_;
};

}  // namespace

napi_value TrimMemory(napi_env env, napi_callback_info) {
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  Environment::Of(env)->Submit(new TrimJob(deferred), PoolLane::kSync);
  return promise;
}

}  // namespace copse
