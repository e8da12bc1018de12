// crc32c and isZero over memory, on the caller's thread; discardMemory and trimMemory, which give
// memory back to the system.
#include <malloc.h>
#include <sys/mman.h>

#include <memory>

#include "../core/crc32c.h"
#include "../core/file_io.h"
#include "../core/zero_scan.h"
#include "argument.h"
#include "exports.h"
#include "promise.h"

namespace copse {
namespace {

// The part of the data between `start` and `end`, at 1 and 2; a missing one means an end of the
// data.
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
  return Uint32Value(env, function(static_cast<uint32_t>(seed), data, size));
}

}  // namespace

napi_value Crc32cOf(napi_env env, napi_callback_info info) { return Checksum(env, info, Crc32c); }

napi_value Crc32cByTableOf(napi_env env, napi_callback_info info) { return Checksum(env, info, Crc32cByTable); }

napi_value IsZeroBytes(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint8_t* data;
  size_t size;
  if (!Part(arguments, &data, &size)) return nullptr;
  return BooleanValue(env, IsAllZero(data, size));
}

napi_value DiscardMemory(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint8_t* data;
  size_t size;
  if (!arguments.Bytes(0, "data", &data, &size)) return nullptr;
  const uintptr_t page = PageBytes();
  const uintptr_t start = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + size) / page * page;
  // The memory is anonymous, so the next read finds zeros. Where the kernel refuses, the pages
  // stay.
  if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  return arguments.Undefined();
}

namespace {

class TrimJob final : public PromiseJob {
 protected:
  void Work() override { malloc_trim(0); }
};

}  // namespace

napi_value TrimMemory(napi_env env, napi_callback_info) {
  return PromiseJob::Launch(env, PoolLane::kSync, std::make_unique<TrimJob>());
}

}  // namespace copse
