#include "file_job.h"

#include "error.h"
#include "promise.h"
#include "value.h"

namespace copse {
namespace {

napi_value ValueOf(napi_env env, const Result& result) {
  switch (result.kind) {
    case Result::Kind::kNothing:
      break;
    case Result::Kind::kBoolean:
      return BooleanValue(env, result.number != 0);
    case Result::Kind::kNumber:
      return NumberValue(env, result.number);
    case Result::Kind::kNumbers:
      return Float64ArrayValue(env, result.numbers);
  }
  return UndefinedValue(env);
}

}  // namespace

napi_value FileJob::Begin(napi_env env, FileHandle& file, napi_value buffer) {
  if (buffer != nullptr && napi_create_reference(env, buffer, 1, &buffer_) != napi_ok) return nullptr;
  const napi_value promise = NewPromise(env, &deferred_);
  if (promise == nullptr) {
    if (buffer_ != nullptr) napi_delete_reference(env, buffer_);
    return nullptr;
  }
  file_ = file.shared_from_this();
  file_->under_way += 1;
  return promise;
}

void FileJob::Settle(napi_env env) {
  Forget();
  if (buffer_ != nullptr) napi_delete_reference(env, buffer_);
  if (result_.status.ok()) {
    Resolve(env, deferred_, ValueOf(env, result_));
  } else {
    Reject(env, deferred_, MakeSystemError(env, result_.status, file_->PathOf(result_.status)));
  }
  CallEnded(env, *file_);
}

}  // namespace copse
