#include "lane_class.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "../core/fast/range_source.h"
#include "chunk_file_class.h"
#include "exports.h"
#include "frame.h"
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
  // Stop may run twice at once: for `stop`, and for an environment that goes meanwhile.
  const std::lock_guard<std::mutex> guard(stop_mutex_);
  if (lane && !stopped_) lane->Stop();
  stopped_ = true;
}

namespace {

using Counters = std::array<double, 8 + 2 * LaneCounters::kBuckets>;

napi_value TakeInput(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  uint8_t* target;
  size_t size;
  if (!arguments.Slice(0, "target", &target, &size)) return nullptr;
  bool over = false;
  const size_t taken = handle.lane->TakeInput(target, size, &over);
  napi_value result = nullptr;
  napi_create_int64(env, taken == 0 && over ? -1 : static_cast<int64_t>(taken), &result);
  return result;
}

napi_value InputBytes(const Arguments& arguments, LaneHandle& handle) {
  return NumberValue(arguments.env(), static_cast<double>(handle.lane->input_size()));
}

napi_value Send(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  uint32_t count;
  if (napi_get_array_length(env, arguments.at(0), &count) != napi_ok) {
    arguments.RefuseType("\"pieces\" must be an array");
    return nullptr;
  }
  if (handle.pieces != nullptr) {
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
      arguments.RefuseType("a piece must be a Uint8Array");
      return nullptr;
    }
  }
  // Before the call. The event that says that they left comes to this thread, so it comes later.
  if (napi_create_reference(env, arguments.at(0), 1, &handle.pieces) != napi_ok) return nullptr;
  const bool sent = handle.lane->Send(parts.data(), static_cast<int>(count));
  if (sent) {
    napi_delete_reference(env, handle.pieces);
    handle.pieces = nullptr;
  }
  return BooleanValue(env, sent);
}

// The open file at an argument, its descriptors open; null, with an exception pending, if it is
// none.
template <class Handle>
Handle* OpenFileAt(const Arguments& arguments, size_t index, const char* name) {
  Handle* const file = Handle::From(arguments.Native(index, name, Handle::kTag));
  if (file == nullptr) return nullptr;
  if (file->closing) {
    ThrowClosedError(arguments.env(), file->path);
    return nullptr;
  }
  const char* failed_path;
  const Status status = file->EnsureFiles(&failed_path);
  if (status.ok()) return file;
  ThrowSystemError(arguments.env(), status, failed_path);
  return nullptr;
}

napi_value Grant(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  OverlayHandle* overlay = nullptr;
  ChunkHandle* image = nullptr;
  bool writable;
  if ((arguments.Has(0) && (overlay = OpenFileAt<OverlayHandle>(arguments, 0, "overlay")) == nullptr) ||
      (arguments.Has(1) && (image = OpenFileAt<ChunkHandle>(arguments, 1, "image")) == nullptr) ||
      !arguments.Boolean(2, "writable", &writable)) {
    return nullptr;
  }
  std::shared_ptr<const AnswerLease> lease;
  if (arguments.Has(3)) {
    const LeaseHandle* const held = LeaseHandle::From(arguments.Native(3, "lease", LeaseHandle::kTag));
    if (held == nullptr) return nullptr;
    lease = held->lease;
  }
  std::shared_ptr<RangeSource> source;
  if (overlay != nullptr) {
    source = std::make_shared<DiskSource>(overlay->core, image == nullptr ? nullptr : image->core, std::move(lease));
  } else if (image != nullptr) {
    source = std::make_shared<ImageSource>(image->core);
  }
  return BooleanValue(env, handle.lane->Grant(std::move(source), writable && overlay != nullptr));
}

napi_value IsQuiet(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  return BooleanValue(env, handle.lane->IsQuiet());
}

napi_value IsStalled(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  return BooleanValue(env, handle.lane->IsStalled());
}

napi_value HasFailed(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  return BooleanValue(env, handle.lane->HasFailed());
}

napi_value Shut(const Arguments& arguments, LaneHandle& handle) {
  handle.lane->Shut();
  return arguments.Undefined();
}

Counters Snapshot(const LaneCounters& counters) {
  const auto value = [](const LaneCounters::Counter& counter) { return static_cast<double>(counter.load(std::memory_order_relaxed)); };
  Counters all = {value(counters.reads),  value(counters.read_bytes),    value(counters.read_ns),  value(counters.cold_reads),
                  value(counters.writes), value(counters.written_bytes), value(counters.write_ns), value(counters.handed_up)};
  std::transform(counters.read_latency.begin(), counters.read_latency.end(), all.begin() + 8, value);
  std::transform(counters.write_latency.begin(), counters.write_latency.end(), all.begin() + 8 + LaneCounters::kBuckets, value);
  return all;
}

napi_value CountersOf(const Arguments& arguments, LaneHandle& handle) {
  const napi_env env = arguments.env();
  if (!handle.lane) return ThrowClosedError(env, LaneHandle::path);
  napi_typedarray_type type;
  size_t count;
  void* target = nullptr;
  const Counters counters = Snapshot(handle.lane->counters());
  if (napi_get_typedarray_info(env, arguments.at(0), &type, &count, &target, nullptr, nullptr) != napi_ok || type != napi_float64_array ||
      count != counters.size()) {
    arguments.RefuseType("\"target\" must be a Float64Array of 62 elements");
    return nullptr;
  }
  std::copy(counters.begin(), counters.end(), static_cast<double*>(target));
  return arguments.Undefined();
}

// Waits for the lane's threads on the pool, where that holds no other thread up.
class StopJob final : public PromiseJob {
 public:
  explicit StopJob(std::shared_ptr<LaneHandle> handle) : handle_(std::move(handle)) {}

 protected:
  void Work() override { handle_->Stop(); }
  void Finish(napi_env env) override {
    handle_->environment()->Close(handle_);
    for (napi_ref* reference : {&handle_->pieces, &handle_->on_event}) {
      if (*reference != nullptr) napi_delete_reference(env, *reference);
      *reference = nullptr;
    }
  }

 private:
  const std::shared_ptr<LaneHandle> handle_;
};

napi_value Stop(const Arguments& arguments, LaneHandle& handle) {
  const napi_value promise =
      PromiseJob::Launch(arguments.env(), PoolLane::kSync, std::make_unique<StopJob>(handle.Shared()));
  if (promise == nullptr) return nullptr;
  handle.stopping = true;
  // At once: the pool may be busy.
  handle.lane->Shut();
  return promise;
}

napi_value Close(const Arguments& arguments, LaneHandle& handle) {
  if (handle.stopping && handle.on_event == nullptr) handle.lane.reset();
  return arguments.Undefined();
}

bool ReadReplies(const Arguments& arguments, ReplyMode* replies) {
  std::string text;
  if (!arguments.TextProperty(0, "replies", &text)) return false;
  if (text == "simple") *replies = ReplyMode::kSimple;
  else if (text == "structured") *replies = ReplyMode::kStructured;
  else if (text == "extended") *replies = ReplyMode::kExtended;
  else {
    return arguments.RefuseType("\"replies\" must be simple, structured or extended");
  }
  return true;
}

// Duplicates a connected socket for blocking calls. Both descriptors share O_NONBLOCK, so the
// caller closes the other one without any further use.
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
      Method("takeInput", AtOnce<TakeInput>), Method("inputBytes", AtOnce<InputBytes>), Method("send", AtOnce<Send>),           Method("grant", AtOnce<Grant>), Method("isQuiet", AtOnce<IsQuiet>),
      Method("isStalled", AtOnce<IsStalled>), Method("hasFailed", AtOnce<HasFailed>), Method("shut", AtOnce<Shut>),             Method("stop", AtOnce<Stop>),           Method("counters", Always<CountersOf>), Method("close", Always<Close>)};
  return DefineNativeClass(env, "NativeLane", properties, &Environment::Of(env)->lane_class);
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
    arguments.RefuseType("\"onEvent\" must be a function");
    return nullptr;
  }
  Environment* const environment = Environment::Of(env);
  const auto handle = std::make_shared<LaneHandle>(environment);
  const napi_value object = WrapShared(env, environment->lane_class, LaneHandle::kTag, handle);
  if (object == nullptr || napi_create_reference(env, on_event, 1, &handle->on_event) != napi_ok) return nullptr;
  Descriptor socket;
  const int original = static_cast<int>(descriptor);
  Status status = Duplicate(original, &socket);
  if (status.ok()) status = Lane::Start(std::move(socket), options, early, early_size, handle.get(), &handle->lane);
  if (!status.ok()) {
    // The caller goes on with the socket, so it becomes what it was.
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
