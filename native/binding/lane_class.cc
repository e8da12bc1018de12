#include "lane_class.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "../core/fast/range_source.h"
#include "argument.h"
#include "chunk_file_class.h"
#include "error.h"
#include "exports.h"
#include "file_job.h"
#include "lease_class.h"
#include "overlay_file_class.h"

namespace copse {

void LaneHandle::Tell(uint32_t event) {
  if (events_.fetch_or(event) == 0) environment_->Wake(this);
}

void LaneHandle::Notify(napi_env env) {
  const uint32_t events = events_.exchange(0);
  if (stopping || events == 0) return;
  if ((events & kSent) != 0 && pieces != nullptr) {
    napi_delete_reference(env, pieces);
    pieces = nullptr;
  }
  napi_value callback, receiver, argument;
  if (napi_get_reference_value(env, on_event, &callback) != napi_ok || napi_get_undefined(env, &receiver) != napi_ok ||
      napi_create_uint32(env, events, &argument) != napi_ok) {
    return;
  }
  if (napi_call_function(env, receiver, callback, 1, &argument, nullptr) != napi_pending_exception) return;
  napi_value error;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void LaneHandle::Stop() {
  // The environment may go while a stop is under way.
  const std::lock_guard<std::mutex> guard(stop_mutex_);
  if (lane && !stopped_) lane->Stop();
  stopped_ = true;
}

namespace {

using Holder = std::shared_ptr<LaneHandle>;
using Counters = std::array<double, 8 + 2 * LaneCounters::kBuckets>;

Holder* HolderOf(const Arguments& arguments) { return static_cast<Holder*>(arguments.Unwrap()); }

// The receiver's lane; null, with an exception pending, when it is none or stopped.
LaneHandle* Running(const Arguments& arguments) {
  Holder* const holder = HolderOf(arguments);
  if (holder == nullptr) return nullptr;
  if ((*holder)->lane && !(*holder)->stopping) return holder->get();
  ThrowClosedError(arguments.env(), "lane");
  return nullptr;
}

napi_value Boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value TakeInput(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  LaneHandle* const handle = Running(arguments);
  uint8_t* target;
  size_t size;
  if (handle == nullptr || !arguments.Slice(0, "target", &target, &size)) return nullptr;
  bool over = false;
  const size_t taken = handle->lane->TakeInput(target, size, &over);
  napi_value result = nullptr;
  napi_create_int64(env, taken == 0 && over ? -1 : static_cast<int64_t>(taken), &result);
  return result;
}

napi_value InputBytes(napi_env env, napi_callback_info info) {
  LaneHandle* const handle = Running(Arguments(env, info));
  napi_value result = nullptr;
  if (handle != nullptr) napi_create_double(env, static_cast<double>(handle->lane->input_size()), &result);
  return result;
}

napi_value Send(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  LaneHandle* const handle = Running(arguments);
  if (handle == nullptr) return nullptr;
  uint32_t count;
  if (napi_get_array_length(env, arguments.at(0), &count) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "\"pieces\" must be an array");
    return nullptr;
  }
  if (handle->pieces != nullptr) {
    napi_throw_error(env, "ERR_BUSY", "what was sent before has not left yet");
    return nullptr;
  }
  std::vector<iovec> parts(count);
  for (uint32_t index = 0; index < count; index += 1) {
    napi_value piece;
    napi_typedarray_type type;
    if (napi_get_element(env, arguments.at(0), index, &piece) != napi_ok) return nullptr;
    if (napi_get_typedarray_info(env, piece, &type, &parts[index].iov_len, &parts[index].iov_base, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array) {
      napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a piece must be a Uint8Array");
      return nullptr;
    }
  }
  // Before the call: a wake-up that says that they left comes to this thread, later.
  if (napi_create_reference(env, arguments.at(0), 1, &handle->pieces) != napi_ok) return nullptr;
  const bool sent = handle->lane->Send(parts.data(), static_cast<int>(count));
  if (sent) {
    napi_delete_reference(env, handle->pieces);
    handle->pieces = nullptr;
  }
  return Boolean(env, sent);
}

napi_value Grant(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  LaneHandle* const handle = Running(arguments);
  if (handle == nullptr) return nullptr;
  OverlayHandle* overlay = nullptr;
  ChunkHandle* image = nullptr;
  bool writable;
  if (arguments.Has(0)) {
    overlay = OverlayOf(arguments.Native(0, "overlay", kOverlayFileTag));
    if (overlay == nullptr) return nullptr;
    if (overlay->closing) return ThrowClosedError(env, overlay->path);
    const char* failed_path;
    const Status status = EnsureFiles(overlay, &failed_path);
    if (!status.ok()) return ThrowSystemError(env, status, failed_path);
  }
  if (arguments.Has(1)) {
    image = FileOf<ChunkFile>(arguments.Native(1, "image", kChunkFileTag));
    if (image == nullptr) return nullptr;
    if (image->closing) return ThrowClosedError(env, image->path);
    const char* failed_path;
    const Status status = EnsureFiles(image, &failed_path);
    if (!status.ok()) return ThrowSystemError(env, status, failed_path);
  }
  if (!arguments.Boolean(2, "writable", &writable)) return nullptr;
  std::shared_ptr<const AnswerLease> lease;
  if (arguments.Has(3)) {
    lease = LeaseOf(arguments.Native(3, "lease", kLeaseTag));
    if (lease == nullptr) return nullptr;
  }
  std::shared_ptr<RangeSource> source;
  if (overlay != nullptr) {
    source = std::make_shared<DiskSource>(overlay->core, image == nullptr ? nullptr : image->core, std::move(lease));
  } else if (image != nullptr) {
    source = std::make_shared<ImageSource>(image->core);
  }
  return Boolean(env, handle->lane->Grant(std::move(source), writable && overlay != nullptr));
}

napi_value IsQuiet(napi_env env, napi_callback_info info) {
  LaneHandle* const handle = Running(Arguments(env, info));
  return handle == nullptr ? nullptr : Boolean(env, handle->lane->IsQuiet());
}

napi_value IsStalled(napi_env env, napi_callback_info info) {
  LaneHandle* const handle = Running(Arguments(env, info));
  return handle == nullptr ? nullptr : Boolean(env, handle->lane->IsStalled());
}

napi_value HasFailed(napi_env env, napi_callback_info info) {
  LaneHandle* const handle = Running(Arguments(env, info));
  return handle == nullptr ? nullptr : Boolean(env, handle->lane->HasFailed());
}

napi_value Shut(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  LaneHandle* const handle = Running(arguments);
  if (handle != nullptr) handle->lane->Shut();
  return handle == nullptr ? nullptr : arguments.Undefined();
}

Counters Snapshot(const LaneCounters& counters) {
  const auto value = [](const LaneCounters::Counter& counter) { return static_cast<double>(counter.load(std::memory_order_relaxed)); };
  Counters all = {value(counters.reads),  value(counters.read_bytes),    value(counters.read_ns),  value(counters.cold_reads),
                  value(counters.writes), value(counters.written_bytes), value(counters.write_ns), value(counters.handed_up)};
  std::transform(counters.read_latency.begin(), counters.read_latency.end(), all.begin() + 8, value);
  std::transform(counters.write_latency.begin(), counters.write_latency.end(), all.begin() + 8 + LaneCounters::kBuckets, value);
  return all;
}

napi_value CountersOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Holder* const holder = HolderOf(arguments);
  if (holder == nullptr) return nullptr;
  if (!(*holder)->lane) return ThrowClosedError(env, "lane");
  napi_typedarray_type type;
  size_t count;
  void* target = nullptr;
  const Counters counters = Snapshot((*holder)->lane->counters());
  if (napi_get_typedarray_info(env, arguments.at(0), &type, &count, &target, nullptr, nullptr) != napi_ok || type != napi_float64_array ||
      count != counters.size()) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "\"target\" must be a Float64Array of 62 elements");
    return nullptr;
  }
  std::copy(counters.begin(), counters.end(), static_cast<double*>(target));
  return arguments.Undefined();
}

// Waits for the lane's threads where that holds nobody up.
class StopJob final : public Job {
 public:
  StopJob(Holder handle, napi_deferred deferred) : handle_(std::move(handle)), deferred_(deferred) {}

 protected:
  void Work() override { handle_->Stop(); }
  void Settle(napi_env env) override {
    handle_->environment()->Close(handle_);
    for (napi_ref* reference : {&handle_->pieces, &handle_->on_event}) {
      if (*reference != nullptr) napi_delete_reference(env, *reference);
      *reference = nullptr;
    }
    napi_value nothing;
    if (napi_get_undefined(env, &nothing) == napi_ok) napi_resolve_deferred(env, deferred_, nothing);
  }

 private:
  const Holder handle_;
  const napi_deferred deferred_;
};

napi_value Stop(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Holder* const holder = HolderOf(arguments);
  if (holder == nullptr || Running(arguments) == nullptr) return nullptr;
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  (*holder)->stopping = true;
  (*holder)->lane->Shut();
  Environment::Of(env)->Submit(new StopJob(*holder, deferred), PoolLane::kSync);
  return promise;
}

napi_value Close(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Holder* const holder = HolderOf(arguments);
  if (holder == nullptr) return nullptr;
  if ((*holder)->stopping && (*holder)->on_event == nullptr) (*holder)->lane.reset();
  return arguments.Undefined();
}

bool ReadReplies(const Arguments& arguments, ReplyMode* replies) {
  std::string text;
  if (!arguments.TextProperty(0, "replies", &text)) return false;
  if (text == "simple") *replies = ReplyMode::kSimple;
  else if (text == "structured") *replies = ReplyMode::kStructured;
  else if (text == "extended") *replies = ReplyMode::kExtended;
  else {
    napi_throw_type_error(arguments.env(), "ERR_INVALID_ARG_TYPE", "\"replies\" must be simple, structured or extended");
    return false;
  }
  return true;
}

// A duplicate of a connected socket, for blocking calls. O_NONBLOCK belongs to both: the other descriptor is to be closed without any further use.
Status Duplicate(int descriptor, Descriptor* duplicate) {
  Descriptor copy(fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return {errno, "fcntl"};
  const int flags = fcntl(copy.get(), F_GETFL);
  if (flags < 0 || fcntl(copy.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) return {errno, "fcntl"};
  *duplicate = std::move(copy);
  return {};
}

}  // namespace

bool DefineLaneClass(napi_env env) {
  const std::vector<napi_property_descriptor> properties = {
      Method("takeInput", TakeInput), Method("inputBytes", InputBytes), Method("send", Send),           Method("grant", Grant), Method("isQuiet", IsQuiet),
      Method("isStalled", IsStalled), Method("hasFailed", HasFailed), Method("shut", Shut),             Method("stop", Stop),           Method("counters", CountersOf), Method("close", Close)};
  return DefineFileClass(env, "NativeLane", properties, &Environment::Of(env)->lane_class);
}

napi_value OpenLane(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uint64_t descriptor;
  Lane::Options options{};
  uint8_t* early;
  size_t early_size;
  napi_value on_event;
  napi_valuetype type;
  if (!arguments.Object(0, "options") || !arguments.IntegerProperty(0, "descriptor", INT32_MAX, &descriptor) ||
      !ReadReplies(arguments, &options.replies) || !arguments.BytesProperty(0, "early", &early, &early_size) ||
      napi_get_named_property(env, arguments.at(0), "onEvent", &on_event) != napi_ok) {
    return nullptr;
  }
  if (napi_typeof(env, on_event, &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "\"onEvent\" must be a function");
    return nullptr;
  }
  Environment* const environment = Environment::Of(env);
  const auto handle = std::make_shared<LaneHandle>(environment);
  const napi_value object = WrapNative(env, environment->lane_class, new Holder(handle),
                                      [](napi_env, void* data, void*) { delete static_cast<Holder*>(data); });
  if (object == nullptr || napi_create_reference(env, on_event, 1, &handle->on_event) != napi_ok) return nullptr;
  Descriptor socket;
  const int original = static_cast<int>(descriptor);
  Status status = Duplicate(original, &socket);
  if (status.ok()) status = Lane::Start(std::move(socket), options, early, early_size, handle.get(), &handle->lane);
  if (!status.ok()) {
    // As it was, for whoever goes on with it.
    const int flags = fcntl(original, F_GETFL);
    if (flags >= 0) fcntl(original, F_SETFL, flags | O_NONBLOCK);
    napi_delete_reference(env, handle->on_event);
    handle->on_event = nullptr;
    return ThrowSystemError(env, status, "descriptor " + std::to_string(original));
  }
  environment->Open(handle);
  return object;
}

}  // namespace copse
