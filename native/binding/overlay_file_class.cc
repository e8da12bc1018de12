// NativeOverlayFile, its calls that return at once. Those that return promises are in overlay_file_call.cc.
#include "overlay_file_class.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "error.h"
#include "exports.h"

namespace copse {
namespace {

// The receiver of a call that returns at once: null, with an exception pending, when it is none or closed.
OverlayHandle* Open(const Arguments& arguments) {
  OverlayHandle* const file = OverlayOf(arguments.Unwrap());
  if (file != nullptr && file->closing) {
    ThrowClosedError(arguments.env(), file->path);
    return nullptr;
  }
  return file;
}

napi_value ReadNow(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (file == nullptr || !arguments.Slice(0, "target", &target, &size) || !OverlayOffset(arguments, *file->core, size, &offset)) return nullptr;
  napi_value found = nullptr;
  const char* failed_path;
  // `read` says why the files can't be opened.
  const bool open = EnsureFiles(file, &failed_path).ok();
  napi_create_int32(env, static_cast<int32_t>(open ? file->core->ReadNow(target, size, offset) : OverlayNow::kWouldBlock), &found);
  return found;
}

napi_value IsZero(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  uint64_t offset, size;
  if (file == nullptr || !arguments.Range(0, 1, file->core->size_bytes(), &offset, &size)) return nullptr;
  napi_value zero = nullptr;
  napi_get_boolean(env, file->core->IsZero(offset, size), &zero);
  return zero;
}

napi_value Float64Array(napi_env env, const std::vector<double>& numbers) {
  napi_value memory;
  napi_value array = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(double), &data, &memory) != napi_ok) return nullptr;
  if (!numbers.empty()) memcpy(data, numbers.data(), numbers.size() * sizeof(double));
  napi_create_typedarray(env, napi_float64_array, numbers.size(), memory, 0, &array);
  return array;
}

napi_value Runs(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  uint64_t offset, size, max_runs;
  if (file == nullptr || !arguments.Range(0, 1, file->core->size_bytes(), &offset, &size) ||
      !arguments.Integer(2, "maxRuns", kMaxSafeInteger, &max_runs)) {
    return nullptr;
  }
  const OverlayMap& map = file->core->map();
  const uint64_t end = offset + size;
  std::vector<double> runs;
  int before = -1;
  while (offset < end) {
    uint8_t seen;
    const uint64_t run_end = map.RunEnd(offset / kBlockBytes, (end - 1) / kBlockBytes + 1, &seen);
    const uint64_t next = std::min(end, run_end * kBlockBytes);
    if (seen == before) {
      // What ended the run before has changed since.
      runs.back() += static_cast<double>(next - offset);
    } else if (runs.size() / 3 < max_runs) {
      runs.insert(runs.end(), {static_cast<double>(OverlayMap::StateOf(seen)), static_cast<double>(OverlayMap::NodeOf(seen)),
                               static_cast<double>(next - offset)});
    } else {
      break;
    }
    before = seen;
    offset = next;
  }
  return Float64Array(env, runs);
}

napi_value TrackChanges(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  bool on;
  bool all = false;
  if (file == nullptr || !arguments.Boolean(0, "on", &on) || (arguments.Has(1) && !arguments.Boolean(1, "all", &all))) return nullptr;
  file->core->map().TrackChanges(on, all);
  return arguments.Undefined();
}

napi_value CopyMap(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  if (file == nullptr) return nullptr;
  OverlayMap& map = file->core->map();
  uint8_t* target;
  size_t whole;
  uint64_t start, first, count;
  bool take;
  if (!arguments.Bytes(0, "target", &target, &whole) || !arguments.Integer(1, "targetStart", whole, &start) ||
      !arguments.Integer(2, "firstBlock", map.count(), &first) ||
      !arguments.Integer(3, "blockCount", std::min<uint64_t>(map.count() - first, whole - start), &count) ||
      !arguments.Boolean(4, "takeChanges", &take)) {
    return nullptr;
  }
  map.Copy(target + start, first, count, take);
  return arguments.Undefined();
}

napi_value AllocatedBytes(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  if (file == nullptr) return nullptr;
  uint64_t bytes = 0;
  const Status status = file->core->AllocatedBytes(&bytes);
  if (!status.ok()) return ThrowSystemError(env, status, file->path);
  napi_value value = nullptr;
  napi_create_double(env, static_cast<double>(bytes), &value);
  return value;
}

// Only this thread hands the core on, so a count of one stays one until this returns.
napi_value Park(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OverlayOf(Arguments(env, info).Unwrap());
  if (file == nullptr) return nullptr;
  const bool is_idle = !std::exchange(file->was_used, false) && !file->closing && file->under_way == 0 && file->core.use_count() == 1;
  napi_value parked = nullptr;
  napi_get_boolean(env, is_idle && file->core->Park(), &parked);
  return parked;
}

// For accessors.
OverlayHandle* OpenTagged(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OverlayOf(Arguments(env, info).Unwrap(kOverlayFileTag));
  if (file == nullptr || !file->closing) return file;
  ThrowClosedError(env, file->path);
  return nullptr;
}

napi_value Dirty(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OpenTagged(env, info);
  napi_value dirty = nullptr;
  if (file != nullptr) napi_get_boolean(env, file->core->IsDirty(), &dirty);
  return dirty;
}

napi_value Text(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value Loss(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OpenTagged(env, info);
  std::string text;
  bool is_marked = false;
  if (file == nullptr) return nullptr;
  if (!file->core->HasLost(&text, &is_marked)) return Arguments(env, info).Undefined();
  napi_value loss = nullptr;
  napi_value marked = nullptr;
  napi_create_object(env, &loss);
  napi_get_boolean(env, is_marked, &marked);
  napi_set_named_property(env, loss, "text", Text(env, text));
  napi_set_named_property(env, loss, "isMarked", marked);
  return loss;
}

napi_value Footing(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OpenTagged(env, info);
  if (file == nullptr) return nullptr;
  switch (file->core->footing()) {
    case OverlayFile::Footing::kUnlinked:
      return Text(env, "unlinked");
    case OverlayFile::Footing::kReadOnly:
      return Text(env, "read-only");
    case OverlayFile::Footing::kFirm:
      break;
  }
  return Text(env, "firm");
}

napi_value RememberLoss(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  OverlayHandle* const file = Open(arguments);
  std::string text;
  if (file == nullptr || !arguments.Text(0, "text", &text)) return nullptr;
  file->core->Remember(text);
  return arguments.Undefined();
}

napi_value IsOpen(napi_env env, napi_callback_info info) {
  OverlayHandle* const file = OpenTagged(env, info);
  napi_value open = nullptr;
  if (file != nullptr) napi_get_boolean(env, file->core->has_files(), &open);
  return open;
}

napi_value Number(napi_env env, napi_callback_info info, int64_t (*get_blocks)(const OverlayMap&)) {
  OverlayHandle* const file = OpenTagged(env, info);
  napi_value value = nullptr;
  if (file != nullptr) napi_create_double(env, static_cast<double>(get_blocks(file->core->map())) * kBlockBytes, &value);
  return value;
}

napi_value SizeBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](const OverlayMap& map) { return static_cast<int64_t>(map.count()); });
}

napi_value DataBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](const OverlayMap& map) { return map.block_count(BlockState::kData); });
}

napi_value ZeroBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](const OverlayMap& map) { return map.block_count(BlockState::kZero); });
}

napi_value RemoteBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](const OverlayMap& map) { return map.block_count(BlockState::kRemote); });
}

napi_value ChangedBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](const OverlayMap& map) { return map.changed_count(); });
}

}  // namespace

bool OverlayOffset(const Arguments& arguments, const OverlayFile& file, size_t size, uint64_t* offset) {
  if (size <= file.size_bytes()) return arguments.Integer(3, "offset", file.size_bytes() - size, offset);
  napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"lengthBytes\" must not be more than the disk has");
  return false;
}

bool ReadSectorLayout(const Arguments& arguments, OverlayLayout* layout) {
  uint64_t seed;
  if (!arguments.IntegerProperty(0, "recordsOffset", kMaxSafeInteger / 2, &layout->records_offset) ||
      !arguments.IntegerProperty(0, "recordSeed", UINT32_MAX, &seed)) {
    return false;
  }
  layout->record_seed = static_cast<uint32_t>(seed);
  if (layout->records_offset % kSectorBytes == 0) return true;
  napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"recordsOffset\" must be a multiple of 512");
  return false;
}

bool DefineOverlayFileClass(napi_env env) {
  std::vector<napi_property_descriptor> properties = {
      Getter("sizeBytes", SizeBytes),       Getter("dataBytes", DataBytes),        Getter("zeroBytes", ZeroBytes),
      Getter("remoteBytes", RemoteBytes),   Getter("changedBytes", ChangedBytes),  Getter("dirty", Dirty),
      Getter("loss", Loss),                 Getter("footing", Footing),            Method("rememberLoss", RememberLoss),
      Method("readNow", ReadNow),           Method("isZero", IsZero),              Method("runs", Runs),
      Method("trackChanges", TrackChanges), Method("copyMap", CopyMap),            Method("allocatedBytes", AllocatedBytes),
      Method("park", Park),                 Getter("isOpen", IsOpen)};
  const std::vector<napi_property_descriptor> calls = OverlayFileCalls();
  properties.insert(properties.end(), calls.begin(), calls.end());
  return DefineFileClass(env, "NativeOverlayFile", properties, &Environment::Of(env)->overlay_file_class);
}

napi_value OpenOverlayFile(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  std::string data_path, map_path;
  OverlayLayout layout{};
  if (!arguments.Object(0, "options") || !arguments.TextProperty(0, "dataPath", &data_path) ||
      !arguments.TextProperty(0, "mapPath", &map_path) || !arguments.IntegerProperty(0, "sizeBytes", kMaxSafeInteger, &layout.size_bytes) ||
      !ReadSectorLayout(arguments, &layout)) {
    return nullptr;
  }
  if (layout.size_bytes % kBlockBytes != 0) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "\"sizeBytes\" must be a multiple of 4096");
    return nullptr;
  }
  std::shared_ptr<OverlayFile> file;
  const char* failed_path = "";
  const Status status = OverlayFile::Open(data_path.c_str(), map_path.c_str(), layout, &file, &failed_path);
  if (!status.ok()) return ThrowSystemError(env, status, failed_path);
  return WrapFile(env, Environment::Of(env)->overlay_file_class, kOverlayFileTag, std::make_shared<OverlayHandle>(data_path, map_path, std::move(file)));
}

}  // namespace copse
