// NativeLease: a disk's lease (core/fast/answer_lease.h) as JavaScript holds it. Lanes share the
// word.
#pragma once

#include <node_api.h>

#include <memory>

#include "../core/fast/answer_lease.h"
#include "native_class.h"

namespace copse {

struct LeaseHandle {
  static constexpr napi_type_tag kTag = {0x6e0f27b1c5d94a38, 0x91b3e8d4072f6ca5};
  static LeaseHandle* From(void* wrapped) { return SharedIn<LeaseHandle>(wrapped); }

  const std::shared_ptr<AnswerLease> lease = std::make_shared<AnswerLease>();
};

}  // namespace copse
