// JavaScript classes whose objects hold a native one, shared. Only WrapShared makes objects of
// them: their constructors throw ERR_ILLEGAL_CONSTRUCTOR when JavaScript calls them.
#pragma once

#include <node_api.h>

#include <memory>
#include <utility>
#include <vector>

namespace copse {

bool DefineNativeClass(napi_env env, const char* name,
                       const std::vector<napi_property_descriptor>& properties, napi_ref* native_class);

// Makes an object that wraps `native` and carries `tag`. When it returns null, with an exception
// pending, `native` was finalized.
napi_value WrapNative(napi_env env, napi_ref native_class, const napi_type_tag& tag, void* native,
                      napi_finalize finalize);

// The object wraps a std::shared_ptr<Native>, which goes with it.
template <class Native>
napi_value WrapShared(napi_env env, napi_ref native_class, const napi_type_tag& tag,
                      std::shared_ptr<Native> native) {
  using Holder = std::shared_ptr<Native>;
  return WrapNative(env, native_class, tag, new Holder(std::move(native)),
                    [](napi_env, void* data, void*) { delete static_cast<Holder*>(data); });
}

// The other way; null when `wrapped` is.
template <class Native>
Native* SharedIn(void* wrapped) {
  return wrapped == nullptr ? nullptr : static_cast<std::shared_ptr<Native>*>(wrapped)->get();
}

}  // namespace copse
