// NativeOverlayFile, its calls that return promises.
#include <algorithm>
#include <memory>

#include "error.h"
#include "exports.h"
#include "file_job.h"
#include "overlay_file_class.h"

namespace copse {
namespace {

// The receiver of a method, its descriptors open; if it is closed, or they can't be opened, `*rejection` is what to return.
OverlayHandle* Open(const Arguments& arguments, void** wrapped, napi_value* rejection) {
  *wrapped = arguments.Unwrap();
  OverlayHandle* const file = OverlayOf(*wrapped);
  *rejection = nullptr;
  if (file == nullptr) return nullptr;
  if (file->closing) {
    *rejection = Rejected(arguments.env(), MakeClosedError(arguments.env(), file->path));
    return nullptr;
  }
  const char* failed_path;
  const Status status = EnsureFiles(file, &failed_path);
  if (status.ok()) return file;
  *rejection = Rejected(arguments.env(), MakeSystemError(arguments.env(), status, failed_path));
  return nullptr;
}

// What is below the ragged ends of a range, copied: at most two blocks, and a job holds on to one buffer only.
bool ReadEdges(const Arguments& arguments, size_t index, uint64_t offset, uint64_t size, std::unique_ptr<uint8_t[]>* edges) {
  if (!arguments.Has(index)) return true;
  uint8_t* bytes;
  size_t whole;
  if (!arguments.Bytes(index, "edges", &bytes, &whole)) return false;
  const bool one_block = size == 0 || offset / kBlockBytes == (offset + size - 1) / kBlockBytes;
  const size_t wanted = one_block ? kBlockBytes : 2 * kBlockBytes;
  if (whole < wanted) {
    napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"edges\" must hold 4096 bytes for one block, 8192 for more");
    return false;
  }
  edges->reset(new uint8_t[wanted]);
  std::copy(bytes, bytes + wanted, edges->get());
  return true;
}

// Long calls are worth a hop, and should not stand before others.
const std::shared_ptr<JobQueue>& QueueFor(const OverlayHandle& file, uint64_t size) {
  constexpr uint64_t kSmall = 64 << 10;
  static const std::shared_ptr<JobQueue> none;
  return size <= kSmall ? file.small_changes : none;
}

napi_value Read(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (file == nullptr) return rejection;
  if (!arguments.Slice(0, "target", &target, &size) || !OverlayOffset(arguments, *file->core, size, &offset)) return nullptr;
  if (!file->core->IsLocal(offset, size)) return ResolvedBoolean(env, false);
  return Launch(env, wrapped, PoolLane::kRead, arguments.at(0), [core = file->core, target, size, offset](Result* result) {
    result->status = core->Read(target, size, offset);
    result->SetBoolean(true);
  });
}

napi_value Write(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  uint8_t* source;
  size_t size;
  uint64_t offset;
  std::unique_ptr<uint8_t[]> edges;
  if (file == nullptr) return rejection;
  if (!arguments.Slice(0, "source", &source, &size) || !OverlayOffset(arguments, *file->core, size, &offset) ||
      !ReadEdges(arguments, 4, offset, size, &edges)) {
    return nullptr;
  }
  if (edges == nullptr && file->core->NeedsEdges(offset, size)) return ResolvedBoolean(env, false);
  auto write = [core = file->core, source, size, offset, edges = std::move(edges)](Result* result) {
    bool done = false;
    result->status = core->Write(source, size, offset, edges.get(), &done);
    result->SetBoolean(done);
  };
  return Launch(env, wrapped, PoolLane::kWrite, arguments.at(0), std::move(write), QueueFor(*file, size));
}

napi_value Zero(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  uint64_t offset, size;
  bool allocate;
  std::unique_ptr<uint8_t[]> edges;
  if (file == nullptr) return rejection;
  if (!arguments.Range(0, 1, file->core->size_bytes(), &offset, &size) || !arguments.Object(2, "options") ||
      !arguments.BooleanProperty(2, "allocate", false, &allocate) || !ReadEdges(arguments, 3, offset, size, &edges)) {
    return nullptr;
  }
  if (edges == nullptr && file->core->NeedsEdges(offset, size)) return ResolvedBoolean(env, false);
  auto zero = [core = file->core, offset, size, allocate, edges = std::move(edges)](Result* result) {
    bool done = false;
    result->status = core->Zero(offset, size, allocate, edges.get(), &done);
    result->SetBoolean(done);
  };
  return Launch(env, wrapped, PoolLane::kWrite, nullptr, std::move(zero), QueueFor(*file, size));
}

napi_value Trim(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  uint64_t offset, size;
  if (file == nullptr) return rejection;
  if (!arguments.Range(0, 1, file->core->size_bytes(), &offset, &size)) return nullptr;
  auto trim = [core = file->core, offset, size](Result* result) { result->status = core->Trim(offset, size); };
  return Launch(env, wrapped, PoolLane::kWrite, nullptr, std::move(trim), QueueFor(*file, size));
}

napi_value Fill(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  uint8_t* source;
  size_t size;
  uint64_t offset;
  if (file == nullptr) return rejection;
  if (!arguments.Slice(0, "source", &source, &size) || !OverlayOffset(arguments, *file->core, size, &offset)) return nullptr;
  if ((offset | size) % kBlockBytes != 0) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "\"offset\" and \"lengthBytes\" must be multiples of 4096");
    return nullptr;
  }
  return Launch(env, wrapped, PoolLane::kWrite, arguments.at(0), [core = file->core, source, size, offset](Result* result) {
    uint64_t stored_bytes = 0;
    result->status = core->Fill(source, size, offset, &stored_bytes);
    result->SetNumber(static_cast<double>(stored_bytes));
  });
}

napi_value Flush(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  if (file == nullptr) return rejection;
  return FlushOverlay(env, *static_cast<std::shared_ptr<FileHandle>*>(wrapped));
}

napi_value AcceptLoss(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* wrapped;
  napi_value rejection;
  OverlayHandle* const file = Open(arguments, &wrapped, &rejection);
  if (file == nullptr) return rejection;
  return Launch(env, wrapped, PoolLane::kSync, nullptr, [core = file->core](Result* result) { result->status = core->AcceptLoss(); });
}

napi_value Close(napi_env env, napi_callback_info info) {
  void* const wrapped = Arguments(env, info).Unwrap();
  return wrapped == nullptr ? nullptr : CloseFile(env, *static_cast<std::shared_ptr<FileHandle>*>(wrapped));
}

}  // namespace

std::vector<napi_property_descriptor> OverlayFileCalls() {
  return {Method("read", Read), Method("write", Write), Method("zero", Zero),   Method("trim", Trim),
          Method("fill", Fill), Method("flush", Flush), Method("acceptLoss", AcceptLoss), Method("close", Close)};
}

}  // namespace copse
