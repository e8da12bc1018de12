// NativeLease: a disk's lease (core/fast/answer_lease.h) as JavaScript holds it. Lanes share the word.
#pragma once

#include <node_api.h>

#include <memory>

#include "../core/fast/answer_lease.h"

namespace copse {

constexpr napi_type_tag kLeaseTag = {0x6e0f27b1c5d94a38, 0x91b3e8d4072f6ca5};

// Null when `wrapped` is.
inline std::shared_ptr<AnswerLease> LeaseOf(void* wrapped) {
  return wrapped == nullptr ? nullptr : *static_cast<std::shared_ptr<AnswerLease>*>(wrapped);
}

}  // namespace copse
