#include "file_handle.h"

#include "environment.h"

namespace copse {
namespace {

void Resolve(napi_env env, napi_deferred deferred) {
  napi_value nothing;
  if (napi_get_undefined(env, &nothing) == napi_ok) napi_resolve_deferred(env, deferred, nothing);
}

class CloseJob final : public Job {
 public:
  explicit CloseJob(std::shared_ptr<FileHandle> file) : file_(std::move(file)), core_(file_->Detach()) {}

 protected:
  void Work() override { core_.reset(); }
  void Settle(napi_env env) override {
    file_->closed = true;
    for (napi_deferred deferred : file_->closers) Resolve(env, deferred);
    file_->closers.clear();
  }

 private:
  std::shared_ptr<FileHandle> file_;
  std::shared_ptr<void> core_;
};

napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value self = nullptr;
  size_t count = 0;
  napi_get_cb_info(env, info, &count, nullptr, &self, nullptr);
  Environment* const environment = Environment::Of(env);
  if (environment->pending_native == nullptr) {
    napi_throw_type_error(env, "ERR_ILLEGAL_CONSTRUCTOR", "files are made by openBlockFile, openChunkFile and openOverlayFile");
    return nullptr;
  }
  if (napi_wrap(env, self, environment->pending_native, environment->pending_finalize, nullptr, nullptr) == napi_ok) {
    environment->pending_native = nullptr;
  }
  return self;
}

}  // namespace

napi_value CloseFile(napi_env env, const std::shared_ptr<FileHandle>& file) {
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  if (file->closed) {
    Resolve(env, deferred);
    return promise;
  }
  file->closers.push_back(deferred);
  if (file->closing) return promise;
  file->closing = true;
  if (file->under_way == 0) Environment::Of(env)->Submit(new CloseJob(file), PoolLane::kSync);
  return promise;
}

void CallEnded(napi_env env, const std::shared_ptr<FileHandle>& file) {
  file->under_way -= 1;
  if (file->closing && file->under_way == 0) Environment::Of(env)->Submit(new CloseJob(file), PoolLane::kSync);
}

napi_value WrapFile(napi_env env, napi_ref file_class, const napi_type_tag& tag, std::shared_ptr<FileHandle> file) {
  const napi_value object = WrapNative(env, file_class, new std::shared_ptr<FileHandle>(std::move(file)),
                                       [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<FileHandle>*>(data); });
  return object != nullptr && napi_type_tag_object(env, object, &tag) == napi_ok ? object : nullptr;
}

napi_value WrapNative(napi_env env, napi_ref native_class, void* native, napi_finalize finalize) {
  Environment* const environment = Environment::Of(env);
  napi_value constructor;
  napi_value object = nullptr;
  environment->pending_native = native;
  environment->pending_finalize = finalize;
  const bool made = napi_get_reference_value(env, native_class, &constructor) == napi_ok &&
                    napi_new_instance(env, constructor, 0, nullptr, &object) == napi_ok;
  if (environment->pending_native == nullptr) return made ? object : nullptr;
  environment->pending_native = nullptr;
  finalize(env, native, nullptr);
  return nullptr;
}

bool DefineFileClass(napi_env env, const char* name, const std::vector<napi_property_descriptor>& properties, napi_ref* file_class) {
  napi_value constructor;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, Construct, nullptr, properties.size(), properties.data(), &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, file_class) == napi_ok;
}

}  // namespace copse
