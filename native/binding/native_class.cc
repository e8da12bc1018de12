#include "native_class.h"

#include "environment.h"

namespace copse {
namespace {

// Wraps what WrapNative has left in the environment for it.
napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value self = nullptr;
  size_t count = 0;
  napi_get_cb_info(env, info, &count, nullptr, &self, nullptr);
  Environment* const environment = Environment::Of(env);
  if (environment->pending_native == nullptr) {
    napi_throw_type_error(env, "ERR_ILLEGAL_CONSTRUCTOR", "only the addon's open calls make objects of this class");
    return nullptr;
  }
  if (napi_wrap(env, self, environment->pending_native, environment->pending_finalize, nullptr, nullptr) == napi_ok) {
    environment->pending_native = nullptr;
  }
  return self;
}

}  // namespace

bool DefineNativeClass(napi_env env, const char* name,
                       const std::vector<napi_property_descriptor>& properties, napi_ref* native_class) {
  napi_value constructor;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, Construct, nullptr, properties.size(),
                           properties.data(), &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, native_class) == napi_ok;
}

napi_value WrapNative(napi_env env, napi_ref native_class, const napi_type_tag& tag, void* native,
                      napi_finalize finalize) {
  Environment* const environment = Environment::Of(env);
  napi_value constructor;
  napi_value object = nullptr;
  environment->pending_native = native;
  environment->pending_finalize = finalize;
  const bool made = napi_get_reference_value(env, native_class, &constructor) == napi_ok &&
                    napi_new_instance(env, constructor, 0, nullptr, &object) == napi_ok;
  if (environment->pending_native != nullptr) {
    environment->pending_native = nullptr;
    finalize(env, native, nullptr);
    return nullptr;
  }
  // From here on the object owns the native one.
  return made && napi_type_tag_object(env, object, &tag) == napi_ok ? object : nullptr;
}

}  // namespace copse
