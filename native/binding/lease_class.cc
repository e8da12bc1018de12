#include "lease_class.h"

#include "argument.h"
#include "environment.h"
#include "exports.h"
#include "file_handle.h"

namespace copse {
namespace {

using Holder = std::shared_ptr<AnswerLease>;

// A day: a longer one would be none.
constexpr uint64_t kMostMs = 86'400'000, kNsPerMs = 1'000'000;

AnswerLease* Receiver(const Arguments& arguments) {
  Holder* const holder = static_cast<Holder*>(arguments.Unwrap());
  return holder == nullptr ? nullptr : holder->get();
}

napi_value Boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value IsValid(napi_env env, napi_callback_info info) {
  AnswerLease* const lease = Receiver(Arguments(env, info));
  return lease == nullptr ? nullptr : Boolean(env, lease->MayAnswer());
}

napi_value Extend(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  AnswerLease* const lease = Receiver(arguments);
  uint64_t ms;
  if (lease == nullptr || !arguments.Integer(0, "ms", kMostMs, &ms)) return nullptr;
  return Boolean(env, lease->Extend(ms * kNsPerMs));
}

napi_value Open(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  AnswerLease* const lease = Receiver(arguments);
  uint64_t ms;
  if (lease == nullptr || !arguments.Integer(0, "ms", kMostMs, &ms)) return nullptr;
  lease->Open(ms * kNsPerMs);
  return arguments.Undefined();
}

template <void (AnswerLease::*Change)()>
napi_value Changed(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  AnswerLease* const lease = Receiver(arguments);
  if (lease == nullptr) return nullptr;
  (lease->*Change)();
  return arguments.Undefined();
}

}  // namespace

bool DefineLeaseClass(napi_env env) {
  return DefineFileClass(env, "NativeLease",
                         {Method("isValid", IsValid), Method("extend", Extend), Method("open", Open), Method("close", Changed<&AnswerLease::Close>),
                          Method("free", Changed<&AnswerLease::Free>), Method("lose", Changed<&AnswerLease::Lose>)},
                         &Environment::Of(env)->lease_class);
}

napi_value OpenLease(napi_env env, napi_callback_info info) {
  const napi_value object = WrapNative(env, Environment::Of(env)->lease_class, new Holder(std::make_shared<AnswerLease>()),
                                       [](napi_env, void* data, void*) { delete static_cast<Holder*>(data); });
  return object != nullptr && napi_type_tag_object(env, object, &kLeaseTag) == napi_ok ? object : nullptr;
}

}  // namespace copse
