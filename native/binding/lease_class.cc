#include "lease_class.h"

#include "environment.h"
#include "exports.h"
#include "frame.h"

namespace copse {
namespace {

// A longer lease than a day would be none.
constexpr uint64_t kMostMs = 86'400'000, kNsPerMs = 1'000'000;

napi_value IsValid(const Arguments& arguments, LeaseHandle& handle) {
  return BooleanValue(arguments.env(), handle.lease->MayAnswer());
}

napi_value Extend(const Arguments& arguments, LeaseHandle& handle) {
  uint64_t ms;
  if (!arguments.Integer(0, "ms", kMostMs, &ms)) return nullptr;
  return BooleanValue(arguments.env(), handle.lease->Extend(ms * kNsPerMs));
}

napi_value Open(const Arguments& arguments, LeaseHandle& handle) {
  uint64_t ms;
  if (!arguments.Integer(0, "ms", kMostMs, &ms)) return nullptr;
  handle.lease->Open(ms * kNsPerMs);
  return arguments.Undefined();
}

template <void (AnswerLease::*Change)()>
napi_value Changed(const Arguments& arguments, LeaseHandle& handle) {
  ((*handle.lease).*Change)();
  return arguments.Undefined();
}

}  // namespace

bool DefineLeaseClass(napi_env env) {
  return DefineNativeClass(env, "NativeLease",
                           {Method("isValid", Always<IsValid>), Method("extend", Always<Extend>), Method("open", Always<Open>),
                            Method("close", Always<Changed<&AnswerLease::Close>>), Method("free", Always<Changed<&AnswerLease::Free>>),
                            Method("lose", Always<Changed<&AnswerLease::Lose>>)},
                           &Environment::Of(env)->lease_class);
}

napi_value OpenLease(napi_env env, napi_callback_info info) {
  return WrapShared(env, Environment::Of(env)->lease_class, LeaseHandle::kTag, std::make_shared<LeaseHandle>());
}

}  // namespace copse
