// NativeOverlayFile: methods that return at once. Those that return promises are in
// overlay_file_call.cc.
#include "overlay_file_class.h"

#include <algorithm>
#include <memory>

#include "exports.h"
#include "frame.h"
#include "native_class.h"

namespace copse {
namespace {

napi_value ReadNow(const Arguments& arguments, OverlayHandle& file) {
  uint8_t* target;
  size_t size;
  uint64_t offset;
  if (!arguments.Slice(0, "target", &target, &size) || !OverlayOffset(arguments, *file.core, size, &offset)) return nullptr;
  const char* failed_path;
  // Files that can't be opened are no error here: `read` follows and says why.
  const bool open = file.EnsureFiles(&failed_path).ok();
  return Int32Value(arguments.env(), static_cast<int32_t>(open ? file.core->ReadNow(target, size, offset) : OverlayNow::kWouldBlock));
}

napi_value IsZero(const Arguments& arguments, OverlayHandle& file) {
  uint64_t offset, size;
  if (!arguments.Range(0, 1, file.core->size_bytes(), &offset, &size)) return nullptr;
  return BooleanValue(arguments.env(), file.core->IsZero(offset, size));
}

napi_value Runs(const Arguments& arguments, OverlayHandle& file) {
  uint64_t offset, size, max_runs;
  if (!arguments.Range(0, 1, file.core->size_bytes(), &offset, &size) ||
      !arguments.Integer(2, "maxRuns", kMaxSafeInteger, &max_runs)) {
    return nullptr;
  }
  const OverlayMap& map = file.core->map();
  const uint64_t end = offset + size;
  std::vector<double> runs;
  int before = -1;
  while (offset < end) {
    uint8_t seen;
    const uint64_t run_end = map.RunEnd(offset / kBlockBytes, (end - 1) / kBlockBytes + 1, &seen);
    const uint64_t next = std::min(end, run_end * kBlockBytes);
    if (seen == before) {
      // A block that ended the run before has changed since.
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
  return Float64ArrayValue(arguments.env(), runs);
}

napi_value TrackChanges(const Arguments& arguments, OverlayHandle& file) {
  bool on;
  bool all = false;
  if (!arguments.Boolean(0, "on", &on) || (arguments.Has(1) && !arguments.Boolean(1, "all", &all))) return nullptr;
  file.core->map().TrackChanges(on, all);
  return arguments.Undefined();
}

napi_value CopyMap(const Arguments& arguments, OverlayHandle& file) {
  OverlayMap& map = file.core->map();
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

napi_value AllocatedBytes(const Arguments& arguments, OverlayHandle& file) {
  uint64_t bytes = 0;
  const Status status = file.core->AllocatedBytes(&bytes);
  if (!status.ok()) return ThrowSystemError(arguments.env(), status, file.path);
  return NumberValue(arguments.env(), static_cast<double>(bytes));
}

// Only this thread hands the core on, so a count of one stays one until this returns.
napi_value Park(const Arguments& arguments, OverlayHandle& file) {
  const bool is_idle = !std::exchange(file.was_used, false) && !file.closing && file.under_way == 0 && file.core.use_count() == 1;
  return BooleanValue(arguments.env(), is_idle && file.core->Park());
}

napi_value Dirty(const Arguments& arguments, OverlayHandle& file) { return BooleanValue(arguments.env(), file.core->IsDirty()); }

napi_value Loss(const Arguments& arguments, OverlayHandle& file) {
  const napi_env env = arguments.env();
  std::string text;
  bool is_marked = false;
  if (!file.core->HasLost(&text, &is_marked)) return arguments.Undefined();
  napi_value loss = nullptr;
  if (napi_create_object(env, &loss) != napi_ok) return nullptr;
  napi_set_named_property(env, loss, "text", TextValue(env, text));
  napi_set_named_property(env, loss, "isMarked", BooleanValue(env, is_marked));
  return loss;
}

napi_value Footing(const Arguments& arguments, OverlayHandle& file) {
  switch (file.core->footing()) {
    case OverlayFile::Footing::kUnlinked:
      return TextValue(arguments.env(), "unlinked");
    case OverlayFile::Footing::kReadOnly:
      return TextValue(arguments.env(), "read-only");
    case OverlayFile::Footing::kFirm:
      break;
  }
  return TextValue(arguments.env(), "firm");
}

napi_value RememberLoss(const Arguments& arguments, OverlayHandle& file) {
  std::string text;
  if (!arguments.Text(0, "text", &text)) return nullptr;
  file.core->Remember(text);
  return arguments.Undefined();
}

napi_value IsOpen(const Arguments& arguments, OverlayHandle& file) { return BooleanValue(arguments.env(), file.core->has_files()); }

napi_value BlockBytes(const Arguments& arguments, int64_t block_count) {
  return NumberValue(arguments.env(), static_cast<double>(block_count) * kBlockBytes);
}

napi_value SizeBytes(const Arguments& arguments, OverlayHandle& file) {
  return BlockBytes(arguments, static_cast<int64_t>(file.core->map().count()));
}

template <BlockState state>
napi_value StateBytes(const Arguments& arguments, OverlayHandle& file) {
  return BlockBytes(arguments, file.core->map().block_count(state));
}

napi_value ChangedBytes(const Arguments& arguments, OverlayHandle& file) {
  return BlockBytes(arguments, file.core->map().changed_count());
}

}  // namespace

bool OverlayOffset(const Arguments& arguments, const OverlayFile& file, size_t size, uint64_t* offset) {
  if (size <= file.size_bytes()) return arguments.Integer(3, "offset", file.size_bytes() - size, offset);
  return arguments.RefuseRange("\"lengthBytes\" must not be more than the disk has");
}

bool ReadSectorLayout(const Arguments& arguments, OverlayLayout* layout) {
  uint64_t seed;
  if (!arguments.IntegerProperty(0, "recordsOffset", kMaxSafeInteger / 2, &layout->records_offset) ||
      !arguments.IntegerProperty(0, "recordSeed", UINT32_MAX, &seed)) {
    return false;
  }
  layout->record_seed = static_cast<uint32_t>(seed);
  if (layout->records_offset % kSectorBytes == 0) return true;
  return arguments.RefuseRange("\"recordsOffset\" must be a multiple of 512");
}

bool DefineOverlayFileClass(napi_env env) {
  std::vector<napi_property_descriptor> properties = {
      Getter("sizeBytes", Accessor<SizeBytes>),       Getter("dataBytes", Accessor<StateBytes<BlockState::kData>>),        Getter("zeroBytes", Accessor<StateBytes<BlockState::kZero>>),
      Getter("remoteBytes", Accessor<StateBytes<BlockState::kRemote>>),   Getter("changedBytes", Accessor<ChangedBytes>),  Getter("dirty", Accessor<Dirty>),
      Getter("loss", Accessor<Loss>),                 Getter("footing", Accessor<Footing>),            Method("rememberLoss", AtOnce<RememberLoss>),
      Method("readNow", AtOnce<ReadNow>),           Method("isZero", AtOnce<IsZero>),              Method("runs", AtOnce<Runs>),
      Method("trackChanges", AtOnce<TrackChanges>), Method("copyMap", AtOnce<CopyMap>),            Method("allocatedBytes", AtOnce<AllocatedBytes>),
      Method("park", Always<Park>),                 Getter("isOpen", Accessor<IsOpen>)};
  const std::vector<napi_property_descriptor> calls = OverlayFileCalls();
  properties.insert(properties.end(), calls.begin(), calls.end());
  return DefineNativeClass(env, "NativeOverlayFile", properties, &Environment::Of(env)->overlay_file_class);
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
    arguments.RefuseRange("\"sizeBytes\" must be a multiple of 4096");
    return nullptr;
  }
  std::shared_ptr<OverlayFile> file;
  const char* failed_path = "";
  const Status status = OverlayFile::Open(data_path.c_str(), map_path.c_str(), layout, &file, &failed_path);
  if (!status.ok()) return ThrowSystemError(env, status, failed_path);
  return WrapShared<FileHandle>(env, Environment::Of(env)->overlay_file_class, OverlayHandle::kTag,
                                std::make_shared<OverlayHandle>(data_path, map_path, std::move(file)));
}

}  // namespace copse
