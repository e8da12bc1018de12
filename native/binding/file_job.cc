#include "file_job.h"

#include <cstring>

#include "error.h"

namespace copse {
namespace {

napi_value Numbers(napi_env env, const std::vector<double>& numbers) {
  napi_value memory;
  napi_value array = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(double), &data, &memory) != napi_ok) return nullptr;
  if (!numbers.empty()) memcpy(data, numbers.data(), numbers.size() * sizeof(double));
  napi_create_typedarray(env, napi_float64_array, numbers.size(), memory, 0, &array);
  return array;
}

napi_value ValueOf(napi_env env, const Result& result) {
  napi_value value = nullptr;
  switch (result.kind) {
    case Result::Kind::kNothing:
      napi_get_undefined(env, &value);
      break;
    case Result::Kind::kBoolean:
      napi_get_boolean(env, result.number != 0, &value);
      break;
    case Result::Kind::kNumber:
      napi_create_double(env, result.number, &value);
      break;
    case Result::Kind::kNumbers:
      return Numbers(env, result.numbers);
  }
  return value;
}

}  // namespace

napi_value FileJob::Begin(napi_env env, std::shared_ptr<FileHandle> file, napi_value buffer) {
  napi_value promise;
  if (buffer != nullptr && napi_create_reference(env, buffer, 1, &buffer_) != napi_ok) return nullptr;
  if (napi_create_promise(env, &deferred_, &promise) != napi_ok) {
    if (buffer_ != nullptr) napi_delete_reference(env, buffer_);
    return nullptr;
  }
  file_ = std::move(file);
  file_->under_way += 1;
  return promise;
}

void FileJob::Settle(napi_env env) {
  Forget();
  if (buffer_ != nullptr) napi_delete_reference(env, buffer_);
  if (result_.status.ok()) {
    const napi_value value = ValueOf(env, result_);
    if (value != nullptr) napi_resolve_deferred(env, deferred_, value);
  } else {
    const napi_value error = MakeSystemError(env, result_.status, file_->PathOf(result_.status));
    if (error != nullptr) napi_reject_deferred(env, deferred_, error);
  }
  CallEnded(env, file_);
}

napi_value Rejected(napi_env env, napi_value error) {
  napi_deferred deferred;
  napi_value promise;
  if (error == nullptr || napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  napi_reject_deferred(env, deferred, error);
  return promise;
}

napi_value ResolvedBoolean(napi_env env, bool value) {
  napi_deferred deferred;
  napi_value promise;
  napi_value boolean;
  if (napi_get_boolean(env, value, &boolean) != napi_ok || napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  napi_resolve_deferred(env, deferred, boolean);
  return promise;
}

}  // namespace copse
